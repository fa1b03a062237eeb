public import GraftCore
internal import GraftKernels

/// A result of a node.
public struct Value: Hashable, Sendable {
  /// The node's place in the graph's arena.
  package let node: Int
  /// Which of the node's results.
  package let result: Int

  package init(node: Int, result: Int = 0) {
    self.node = node
    self.result = result
  }
}

/// The dtype and shape of a value.
package struct ValueType: Hashable, Sendable {
  package let dtype: DType
  package let shape: Shape

  package init(_ dtype: DType, _ shape: Shape) {
    self.dtype = dtype
    self.shape = shape
  }

  /// The bytes of a value in memory.
  package var byteCount: Int { shape.elementCount * dtype.layout.bytes }
}

/// One operation with its inputs and the types of its results.
package struct Node: Hashable, Sendable {
  package let op: Op
  package let inputs: [Value]
  package let results: [ValueType]
  /// The stretch of the computation that the node belongs to; see ``Graph/beginBlock(_:)``.
  package let phase: Int

  /// What a kernel adds to, if anything.
  var sumSoFar: Value? {
    guard let place = op.sumInput, inputs.indices.contains(place) else { return nil }
    return inputs[place]
  }

  /// What tells nearly all nodes apart: types follow from the inputs, and what an operation carries seldom differs alone.
  package func hash(into hasher: inout Hasher) {
    hasher.combine(phase)
    for input in inputs { hasher.combine(input) }
    switch op.kind {
    case .leaf, .constant: hasher.combine(op)
    case .fusible, .view, .opaque, .effect: hasher.combine(op.code)
    }
  }
}

/// A computation, known before it runs: an arena of nodes in an order that respects dependencies, to which nodes are added, and inputs.
///
/// Types are inferred while building, and equal nodes of one phase are one node. Shapes and dtypes that don't fit are programmer's errors
/// and stop the program with a sentence.
public struct Graph: Sendable {
  package private(set) var nodes: [Node] = []
  /// The nodes that change parameters.
  package private(set) var effects: [Int] = []
  /// The phase that new nodes belong to; phases inside blocks are odd.
  package var phase = 0
  /// Where the backward pass begins, once the graph was differentiated.
  package var backwardStart: Int?
  /// What the numbers of a forward phase and of its backward phase add up to, once the graph was differentiated.
  package var phaseSum = 0
  private var known: [Node: Int] = [:]
  private var leaves: [TensorName: Int] = [:]

  /// Makes an empty graph.
  public init() {}

  /// The phase of the gradients of a forward phase.
  package func backwardPhase(of forward: Int) -> Int { phaseSum - forward }

  /// Makes room for nodes that will be added.
  package mutating func reserveCapacity(_ count: Int) {
    nodes.reserveCapacity(count)
    known.reserveCapacity(count)
  }

  /// The dtype and shape of a value.
  package func type(of value: Value) -> ValueType { nodes[value.node].results[value.result] }

  /// The shape of a value.
  package func shape(of value: Value) -> Shape { type(of: value).shape }

  /// The dtype of a value.
  package func dtype(of value: Value) -> DType { type(of: value).dtype }

  /// Adds a node, or finds the equal one of this phase.
  package mutating func add(_ op: Op, _ inputs: [Value], _ results: [ValueType]) -> Value {
    let phase = op.kind == .constant || op.kind == .leaf ? 0 : phase
    let node = Node(op: op, inputs: inputs, results: results, phase: phase)
    if op.kind != .effect, let place = known[node] { return Value(node: place) }
    nodes.append(node)
    let place = nodes.count - 1
    if op.kind == .effect { effects.append(place) } else { known[node] = place }
    return Value(node: place)
  }

  /// Gives a node another input after those that it has; what it makes keeps its type.
  package mutating func append(_ input: Value, toInputsOf place: Int) {
    let old = nodes[place]
    known[old] = nil
    nodes[place] = Node(
      op: old.op, inputs: old.inputs + [input], results: old.results, phase: old.phase)
    known[nodes[place]] = place
  }

  /// External memory that outlives runs; the same name gives the same value.
  public mutating func parameter(_ name: TensorName, _ dtype: DType, _ shape: Shape) -> Value {
    leaf(.parameter(name), name, ValueType(dtype, shape))
  }

  /// External memory that changes from run to run; the same name gives the same value.
  public mutating func input(_ name: TensorName, _ dtype: DType, _ shape: Shape) -> Value {
    leaf(.input(name), name, ValueType(dtype, shape))
  }

  private mutating func leaf(_ op: Op, _ name: TensorName, _ type: ValueType) -> Value {
    if let place = leaves[name] {
      precondition(
        nodes[place].op == op && nodes[place].results == [type], "\(name) keeps its kind and type")
      return Value(node: place)
    }
    let value = add(op, [], [type])
    leaves[name] = value.node
    return value
  }

  /// One number, which broadcasts: [1].
  public mutating func constant(_ value: Float) -> Value {
    add(.constant(value), [], [ValueType(.f32, [1])])
  }

  /// Whether a node only converts a parameter or input, so that computing it again costs one pass over memory that stays anyway.
  package func isCastOfLeaf(_ place: Int) -> Bool {
    nodes[place].op == .cast && nodes[nodes[place].inputs[0].node].op.kind == .leaf
  }

  /// Whether a node puts a mask of dropout on a value, so that its result is another copy of that.
  package func isMasked(_ place: Int) -> Bool {
    nodes[place].inputs.contains { input in
      if case .dropoutMask = nodes[input.node].op { true } else { false }
    }
  }

  /// Begins a block: with per-block recompute, only values that cross its borders are kept for the backward pass.
  public mutating func beginBlock(_ name: String) { phase += 1 }

  /// Ends a block.
  public mutating func endBlock() { phase += 1 }
}
