internal import GraftCore
internal import GraftKernels

extension Graph {
  /// Adds the backward pass: the gradients of a scalar with respect to parameters, each f32 in the parameter's shape.
  ///
  /// - Throws: ``GraphError`` when a parameter has no path to the loss or an operation on the way has no gradient.
  public mutating func gradients(
    of loss: Value, withRespectTo parameters: [Value]
  ) throws(GraphError) -> [Value] {
    var found: [Value: Value] = [:]
    try differentiate(loss, withRespectTo: parameters) { _, parameter, gradient in
      found[parameter] = gradient
    }
    return parameters.compactMap { found[$0] }
  }

  /// Adds the backward pass and gives each parameter's gradient, f32 in the parameter's shape, as soon as it is whole.
  ///
  /// Reverse mode over the arena. Only what lies between the parameters and the loss gets a cotangent, so frozen weights cost nothing.
  /// Cotangents are f32, except where a GEMM or attention makes them in bf16; a cotangent may still
  /// have a smaller shape that broadcasts to its value's. What `receive` adds stands right behind the gradient, so that
  /// a gradient which is added to an accumulator there doesn't outlive its block.
  /// - Throws: ``GraphError`` when a parameter has no path to the loss or an operation on the way has no gradient.
  package mutating func differentiate(
    _ loss: Value, withRespectTo parameters: [Value],
    receive: (_ graph: inout Graph, _ parameter: Value, _ gradient: Value) -> Void
  ) throws(GraphError) {
    precondition(shape(of: loss).elementCount == 1, "the loss is a scalar")
    precondition(backwardStart == nil, "a graph is differentiated once")
    let forwardCount = nodes.count
    phaseSum = 2 * (phase + 1)
    let wanted = Set(parameters)
    backwardStart = forwardCount
    var backward = BackwardPass(self, parameters)
    backward.add(constant(1), to: loss, in: &self)
    phase = backwardPhase(of: phase)
    for place in (0..<forwardCount).reversed() where backward.isActive(place) {
      let value = Value(node: place)
      let cotangents = backward.cotangents(of: place, resultCount: nodes[place].results.count)
      if wanted.contains(value) {
        guard let gradient = cotangents[0] else {
          guard case .parameter(let name) = nodes[place].op else {
            throw GraphError(.inconsistent("a gradient of something that isn't a parameter"))
          }
          throw GraphError(.noGradientPath(name))
        }
        let whole = broadcast(cast(gradient, to: .f32), to: shape(of: value))
        receive(&self, value, whole)
      }
      guard nodes[place].op.kind != .leaf else { continue }
      phase = backwardPhase(of: nodes[place].phase)
      guard cotangents.contains(where: { $0 != nil }) else { continue }
      try backward.propagate(cotangents, through: place, in: &self)
    }
    phase = backwardPhase(of: 0)
  }
}

/// The cotangents while they are collected.
private struct BackwardPass {
  private var active: [Bool]
  private var sums: [Value: Value] = [:]
  private var consumers: [Value: Int] = [:]

  init(_ graph: Graph, _ parameters: [Value]) {
    active = [Bool](repeating: false, count: graph.nodes.count)
    for parameter in parameters { active[parameter.node] = true }
    for (place, node) in graph.nodes.enumerated() where !active[place] {
      active[place] = node.inputs.contains { active[$0.node] }
    }
    for (place, node) in graph.nodes.enumerated() where active[place] {
      for input in node.inputs { consumers[input, default: 0] += 1 }
    }
  }

  func isActive(_ place: Int) -> Bool { active[place] }

  func cotangents(of place: Int, resultCount: Int) -> [Value?] {
    (0..<resultCount).map { sums[Value(node: place, result: $0)] }
  }

  mutating func add(_ cotangent: Value, to value: Value, in graph: inout Graph) {
    guard let sum = sums[value] else {
      sums[value] = cotangent
      return
    }
    sums[value] = graph.add(graph.cast(sum, to: .f32), graph.cast(cotangent, to: .f32))
  }

  /// The dtype of a cotangent that a GEMM makes: the value's own, but f32 where several are summed, and for a weight
  /// that is the rounded copy of an f32 parameter, whose gradient isn't rounded.
  private func dtype(for value: Value, in graph: Graph) -> DType {
    consumers[value, default: 0] > 1 || graph.isCastOfLeaf(value.node)
      ? .f32 : graph.dtype(of: value)
  }

  // MARK: - Rules

  /// The vector-Jacobian products of one node.
  mutating func propagate(
    _ cotangents: [Value?], through place: Int, in graph: inout Graph
  ) throws(GraphError) {
    let node = graph.nodes[place]
    let inputs = node.inputs
    let y = Value(node: place)
    guard let raw = cotangents[0] else {
      throw GraphError(.notDifferentiable(operation: "the second result of \(node.op)"))
    }
    /// The cotangent in f32, for pointwise arithmetic.
    func g(_ graph: inout Graph) -> Value { graph.cast(raw, to: .f32) }
    /// Adds a cotangent of input `i`, summed down to its shape, if the input is active.
    func give(_ i: Int, _ graph: inout Graph, _ rule: (inout Graph) -> Value) {
      guard active[inputs[i].node] else { return }
      add(rule(&graph), to: inputs[i], in: &graph)
    }
    /// The same for operations that broadcast their inputs.
    func pointwise(
      _ i: Int, _ graph: inout Graph, _ rule: (inout Graph) -> Value
    ) throws(GraphError) {
      guard active[inputs[i].node] else { return }
      let cotangent = rule(&graph)
      let summed = graph.sum(cotangent, of: graph.shape(of: y), to: graph.shape(of: inputs[i]))
      guard let summed else {
        throw GraphError(.notDifferentiable(operation: "broadcasting along a middle axis"))
      }
      add(summed, to: inputs[i], in: &graph)
    }
    switch node.op {
    case .parameter, .input, .constant, .dropoutMask: break
    case .unary(let operation):
      try pointwise(0, &graph) { graph in
        graph.multiply(g(&graph), graph.derivative(of: operation, at: inputs[0], y))
      }
    case .binary(let operation):
      for i in 0..<2 {
        guard let rule = graph.partial(operation, i, inputs[0], inputs[1]) else { continue }
        try pointwise(i, &graph) { graph in rule(&graph, g(&graph)) }
      }
    case .select:
      let zero = graph.broadcast(graph.constant(0), to: graph.shape(of: y))
      let full = graph.broadcast(g(&graph), to: graph.shape(of: y))
      give(1, &graph) { $0.select(inputs[0], then: full, otherwise: zero) }
      give(2, &graph) { $0.select(inputs[0], then: zero, otherwise: full) }
    case .cast: give(0, &graph) { _ in raw }
    case .broadcast: try pointwise(0, &graph) { g(&$0) }
    case .rotateHalf(let width):
      give(0, &graph) { graph in
        let full = graph.broadcast(g(&graph), to: graph.shape(of: y))
        return graph.negate(graph.rotateHalf(full, width: width))
      }
    case .rowReduce(.sum): give(0, &graph) { g(&$0) }
    case .rowReduce(.maximum):
      give(0, &graph) { graph in
        let mask = graph.equal(inputs[0], y)
        return graph.multiply(mask, graph.divide(g(&graph), graph.rowSum(mask)))
      }
    case .sumRows: give(0, &graph) { g(&$0) }
    case .reshape:
      give(0, &graph) { graph in
        let full =
          graph.dtype(of: raw) == .f32 ? graph.broadcast(raw, to: graph.shape(of: y)) : raw
        return graph.reshape(full, graph.shape(of: inputs[0]))
      }
    case .matmul(let transposeA, let transposeB):
      let (a, b) = (inputs[0], inputs[1])
      let full = graph.dtype(of: raw) == .f32 ? graph.broadcast(raw, to: graph.shape(of: y)) : raw
      let isNarrow = graph.dtype(of: a) == .bf16 && graph.dtype(of: b) == .bf16
      let dy = isNarrow ? graph.cast(full, to: .bf16) : full
      let (typeA, typeB) = (dtype(for: a, in: graph), dtype(for: b, in: graph))
      give(0, &graph) { graph in
        transposeA
          ? graph.matmul(b, transposed: transposeB, dy, transposed: true, dtype: typeA)
          : graph.matmul(dy, transposed: false, b, transposed: !transposeB, dtype: typeA)
      }
      give(1, &graph) { graph in
        transposeB
          ? graph.matmul(dy, transposed: true, a, transposed: transposeA, dtype: typeB)
          : graph.matmul(a, transposed: !transposeA, dy, transposed: false, dtype: typeB)
      }
    case .attention(let shape):
      let lse = Value(node: place, result: 1)
      let dy = graph.cast(
        graph.dtype(of: raw) == .f32 ? graph.broadcast(raw, to: graph.shape(of: y)) : raw,
        to: graph.dtype(of: inputs[0]))
      let first = graph.add(
        .attentionBackward(shape), inputs.prefix(3) + [y, lse, dy] + inputs.dropFirst(3),
        inputs.prefix(3).map { graph.type(of: $0) })
      for i in 0..<3 { give(i, &graph) { _ in Value(node: first.node, result: i) } }
    case .gather:
      give(0, &graph) { graph in
        let full = graph.broadcast(g(&graph), to: graph.shape(of: y))
        return graph.add(
          .scatterAdd, [full, inputs[1]], [ValueType(.f32, graph.shape(of: inputs[0]))])
      }
    case .crossEntropy:
      let tokens = graph.shape(of: y)[0]
      let weights = graph.broadcast(g(&graph), to: [tokens])
      give(0, &graph) { graph in
        graph.multiply(
          graph.reshape(weights, [tokens, 1]),
          graph.cast(Value(node: place, result: 1), to: .f32))
      }
      give(1, &graph) { graph in
        graph.add(
          .crossEntropyHeadGradient, inputs + [weights],
          [ValueType(.f32, graph.shape(of: inputs[1]))])
      }
    case .attentionBackward, .cachedAttention, .scatterAdd, .crossEntropyHeadGradient, .assign:
      throw GraphError(.notDifferentiable(operation: "\(node.op)"))
    }
  }
}

extension Graph {
  /// dy/dx of a pointwise operation, from x and y.
  fileprivate mutating func derivative(
    of operation: TileProgram.Unary, at x: Value, _ y: Value
  ) -> Value {
    switch operation {
    case .negate: constant(-1)
    case .exp: y
    case .log: reciprocal(x)
    case .squareRoot: divide(constant(0.5), y)
    case .reciprocalSquareRoot: multiply(constant(-0.5), multiply(y, square(y)))
    case .reciprocal: negate(square(y))
    case .tanh: subtract(constant(1), square(y))
    case .sigmoid: multiply(y, subtract(constant(1), y))
    case .erf: multiply(constant(1.128_379_2), exp(negate(square(x))))
    case .absolute: subtract(less(constant(0), x), less(x, constant(0)))
    case .square: multiply(constant(2), x)
    case .sine: cosine(x)
    case .cosine: negate(sine(x))
    }
  }

  /// The rule for one input of a binary operation; nil where the derivative is zero.
  fileprivate func partial(
    _ operation: TileProgram.Binary, _ i: Int, _ x: Value, _ y: Value
  ) -> ((inout Graph, Value) -> Value)? {
    let (mine, other) = i == 0 ? (x, y) : (y, x)
    switch operation {
    case .add: return { _, g in g }
    case .subtract: return { graph, g in i == 0 ? g : graph.negate(g) }
    case .multiply: return { graph, g in graph.multiply(g, other) }
    case .divide:
      return { graph, g in
        i == 0
          ? graph.divide(g, y)
          : graph.negate(graph.divide(graph.multiply(g, x), graph.square(y)))
      }
    case .maximum, .minimum:
      return { graph, g in
        let wins = operation == .maximum ? graph.less(other, mine) : graph.less(mine, other)
        let ties = graph.multiply(graph.constant(0.5), graph.equal(mine, other))
        return graph.multiply(g, graph.add(wins, ties))
      }
    case .less, .equal: return nil
    }
  }

  /// Sums a cotangent of shape `full`, or smaller and broadcasting, down to the shape of a broadcast input.
  ///
  /// The input may have been repeated along the last axis and along outer axes; nil for an axis between.
  fileprivate mutating func sum(_ cotangent: Value, of full: Shape, to target: Shape) -> Value? {
    guard target != full else { return cotangent }
    var g = broadcast(cotangent, to: full)
    if target.elementCount == 1 {
      g = sumRows(reshape(rowSum(g), [full.rows, 1]))
      return reshape(g, target)
    }
    if target.columns == 1 && full.columns != 1 { g = rowSum(g) }
    let kept = shape(of: g)
    let inner = zip(kept.dimensions.reversed(), target.dimensions.reversed())
      .prefix { $0 == $1 }.reduce(1) { $0 * $1.0 }
    guard inner == target.elementCount else { return nil }
    if inner == kept.elementCount { return reshape(g, target) }
    return reshape(sumRows(reshape(g, [kept.elementCount / inner, inner])), target)
  }
}
