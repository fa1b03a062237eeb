public import GraftCore
internal import GraftKernels

/// Computes a graph node by node, the plain way: the truth that compiled graphs are compared with.
///
/// Arithmetic is in 64 bits and each result is rounded once to its dtype, to nearest even. It is never optimized.
public struct Interpreter: Sendable {
  /// Whether results are rounded to their dtype.
  public enum Rounding: Sendable {
    /// As memory would store them.
    case asStored
    /// Not at all, as finite differences need it.
    case none
  }

  private let graph: Graph
  private let rounding: Rounding
  /// The elements of every parameter and input, by name; assignments write here when a run ends.
  public var memory: [TensorName: [Double]]

  /// Makes an interpreter with the elements of the graph's parameters and inputs.
  public init(
    _ graph: Graph, memory: [TensorName: [Double]], rounding: Rounding = .asStored
  ) {
    self.graph = graph
    self.memory = memory
    self.rounding = rounding
  }

  /// Makes an interpreter with copies of the memory that an ``Executable`` would be bound to.
  public init(_ graph: Graph, bindings: [TensorName: MemorySlice]) {
    self.init(graph, memory: bindings.mapValues(\.elements))
  }

  /// Runs the graph once, effects included, and gives the elements of some values.
  ///
  /// - Throws: ``GraphError`` when a name has no memory, or too little or too much of it.
  public mutating func run(_ outputs: [Value]) throws(GraphError) -> [[Double]] {
    let live = graph.liveNodes(outputs: outputs)
    var values: [Value: [Double]] = [:]
    for (place, node) in graph.nodes.enumerated() where live[place] {
      let results: [[Double]]
      switch node.op {
      case .parameter(let name), .input(let name):
        guard let elements = memory[name] else { throw GraphError(.unbound(name)) }
        let shape = node.results[0].shape
        guard elements.count == shape.elementCount else {
          throw GraphError(
            .bindingMismatch(
              name, expected: "\(shape.elementCount) elements", found: "\(elements.count)"))
        }
        results = [elements]
      case .assign:
        continue
      case .constant, .dropoutMask, .unary, .binary, .select, .cast, .broadcast, .rotateHalf,
        .rowReduce, .sumRows, .reshape, .matmul, .attention, .attentionBackward,
        .cachedAttention, .gather, .scatterAdd, .crossEntropy, .crossEntropyHeadGradient:
        let inputs = node.inputs.map { input in
          Tensor(graph.shape(of: input).dimensions, values[input] ?? [])
        }
        results = compute(node, inputs)
      }
      for (index, elements) in results.enumerated() {
        values[Value(node: place, result: index)] = rounded(elements, node.results[index].dtype)
      }
    }
    for place in graph.effects {
      let node = graph.nodes[place]
      let target = graph.nodes[node.inputs[0].node]
      guard case .parameter(let name) = target.op, let elements = values[node.inputs[1]] else {
        throw GraphError(.inconsistent("an assignment to something that isn't a parameter"))
      }
      memory[name] = elements
    }
    return outputs.map { values[$0] ?? [] }
  }

  private func rounded(_ elements: [Double], _ dtype: DType) -> [Double] {
    switch (rounding, dtype) {
    case (.none, _): elements
    case (.asStored, .bf16): elements.map { Double(Float($0).roundedToBF16) }
    case (.asStored, .f16): elements.map { Double(Float16($0)) }
    case (.asStored, .f32): elements.map { Double(Float($0)) }
    case (.asStored, _): elements
    }
  }

  private mutating func compute(_ node: Node, _ inputs: [Tensor]) -> [[Double]] {
    let shape = node.results[0].shape.dimensions
    switch node.op {
    case .parameter, .input, .assign: return []
    case .constant(let number): return [[Double(number)]]
    case .unary(let operation): return [inputs[0].elements.map(operation.of)]
    case .binary(let operation):
      let (x, y) = (inputs[0].broadcast(to: shape), inputs[1].broadcast(to: shape))
      return [zip(x.elements, y.elements).map(operation.of)]
    case .select:
      return [
        inputs[0].elements.indices.map { i in
          inputs[0].elements[i] != 0 ? inputs[1].elements[i] : inputs[2].elements[i]
        }
      ]
    case .cast, .reshape: return [inputs[0].elements]
    case .broadcast: return [inputs[0].broadcast(to: shape).elements]
    case .rotateHalf(let width): return [inputs[0].rotatedHalf(width: width)]
    case .dropoutMask(let mask, _):
      let batch = UInt64(inputs[0].elements[0])
      return [
        (0..<node.results[0].shape.elementCount).map { element in
          Double(mask.factor(batch: batch, element: UInt64(element)))
        }
      ]
    case .rowReduce(let reduction): return [inputs[0].rows.map(reduction.of)]
    case .sumRows:
      return [
        (0..<inputs[0].columns).map { column in
          inputs[0].rows.reduce(0) { $0 + $1[$1.startIndex + column] }
        }
      ]
    case .matmul(let transposeA, let transposeB):
      let a = transposeA ? inputs[0].transposed : inputs[0]
      let b = transposeB ? inputs[1] : inputs[1].transposed
      return [a.rows.flatMap { row in b.rows.map { dot(row, $0) } }]
    case .attention(let shape):
      return attention(
        inputs[0], inputs[1], inputs[2], shape, first: 0, segments: inputs.dropFirst(3).first)
    case .attentionBackward(let shape): return attentionBackward(inputs, shape)
    case .cachedAttention(let shape): return [cachedAttention(node, inputs, shape)]
    case .gather: return [inputs[1].elements.flatMap { inputs[0].rows[Int($0)] }]
    case .scatterAdd:
      var table =
        inputs.dropFirst(2).first?.elements
        ?? [Double](repeating: 0, count: node.results[0].shape.elementCount)
      let columns = inputs[0].columns
      for (row, id) in zip(inputs[0].rows, inputs[1].elements) {
        for (column, x) in row.enumerated() { table[Int(id) * columns + column] += x }
      }
      return [table]
    case .crossEntropy:
      let (losses, gradients) = crossEntropy(inputs[0], head: inputs[1], targets: inputs[2])
      return [losses, gradients.flatMap { weighted(inputs[1].rows, by: $0) }]
    case .crossEntropyHeadGradient:
      let (_, gradients) = crossEntropy(inputs[0], head: inputs[1], targets: inputs[2])
      let gradient = (0..<inputs[1].rows.count).flatMap { word in
        weighted(
          inputs[0].rows,
          by: gradients.indices.map { gradients[$0][word] * inputs[3].elements[$0] })
      }
      guard let sum = inputs.dropFirst(4).first else { return [gradient] }
      return [zip(sum.elements, gradient).map { $0 + $1 }]
    }
  }

  /// Appends to the caches, which are parameters, and attends over what they then hold.
  private mutating func cachedAttention(
    _ node: Node, _ inputs: [Tensor], _ shape: AttentionShape
  ) -> [Double] {
    let position = Int(inputs[5].elements[0])
    let columns = inputs[1].columns
    var caches = [inputs[3], inputs[4]]
    for (i, rows) in [inputs[1], inputs[2]].enumerated() {
      caches[i].elements.replaceSubrange(
        position * columns..<position * columns + rows.elements.count, with: rows.elements)
      if case .parameter(let name) = graph.nodes[node.inputs[3 + i].node].op {
        memory[name] = caches[i].elements
      }
    }
    return attention(inputs[0], caches[0], caches[1], shape, first: position, segments: nil)[0]
  }
}
