internal import GraftCore
internal import GraftKernels

/// A step as it runs: what to do, and the values whose memory it works on.
struct Instruction {
  enum Action {
    case tiles(PreparedProgram)
    case chain(RowChain)
    case kernel(Op, inputCount: Int)
    /// Products of one left operand: it, the right ones, the results.
    case siblings
    case copy
  }

  let action: Action
  /// The values that are read, then those that are written; nil for a result that nobody reads.
  let operands: [Operand?]

  /// A value and the shape under which the step sees its memory.
  struct Operand {
    let base: Value
    let shape: Shape
  }
}

extension Instruction {
  /// Prepares a step; `used` are the values that somebody reads, `prepared` the programs of other steps.
  init(
    _ step: Step, _ graph: Graph, used: Set<Value>,
    _ prepared: inout [TileProgram: PreparedProgram]
  ) {
    func whole(_ value: Value) -> Operand { Operand(base: value, shape: graph.shape(of: value)) }
    switch step {
    case .tiles(let group):
      let program = prepared[group.program] ?? PreparedProgram(group.program)
      prepared[group.program] = program
      action = .tiles(program)
      operands = group.operands.map(whole)
    case .copy(let from, let to):
      action = .copy
      operands = [whole(from), whole(to)]
    case .kernel(let place):
      let node = graph.nodes[place]
      action = .kernel(node.op, inputCount: node.inputs.count)
      let results = node.results.indices.map { Value(node: place, result: $0) }
      operands =
        node.inputs.map { Operand(base: graph.base(of: $0), shape: graph.shape(of: $0)) }
        + results.map { used.contains($0) || !node.op.canOmit(result: $0.result) ? whole($0) : nil }
    case .siblings(let places):
      action = .siblings
      func input(_ place: Int, _ index: Int) -> Operand {
        let value = graph.nodes[place].inputs[index]
        return Operand(base: graph.base(of: value), shape: graph.shape(of: value))
      }
      operands =
        places.prefix(1).map { input($0, 0) } + places.map { input($0, 1) }
        + places.map { whole(Value(node: $0)) }
    case .chain(let chain):
      var lowering = ChainLowering(chain, graph)
      action = .chain(lowering.lowered())
      operands = lowering.external.map(whole)
    }
  }
}

/// Turns a chain of the schedule into one that the kernels run.
private struct ChainLowering {
  let chain: Chain
  let graph: Graph
  /// The values that lie in memory as a whole, by their place among the chain's operands.
  private(set) var external: [Value] = []
  private var places: [Value: Int] = [:]

  init(_ chain: Chain, _ graph: Graph) {
    self.chain = chain
    self.graph = graph
  }

  mutating func lowered() -> RowChain {
    let members = chain.members.map { member($0) }
    return RowChain(
      rows: chain.rows, members: members, scratchByteCount: chain.scratch.arenaByteCount)
  }

  private mutating func member(_ step: Step) -> RowChain.Member {
    switch step {
    case .tiles(let group):
      return .tiles(group.program, group.operands.map { place(of: $0) })
    case .kernel(let node):
      guard case .matmul(let transposeA, let transposeB) = graph.nodes[node].op else { break }
      let (a, b) = (matrix(graph.nodes[node].inputs[0]), matrix(graph.nodes[node].inputs[1]))
      let result = Value(node: node)
      guard transposeA else {
        return .product(a: a, b: b, transposedB: transposeB, c: matrix(result))
      }
      guard !transposeB, case .memory(let slice) = place(of: result) else { break }
      return .sum(a: a, b: b, c: slice)
    case .siblings(let places):
      return .siblings(
        a: matrix(graph.nodes[places[0]].inputs[0]),
        places.map { (matrix(graph.nodes[$0].inputs[1]), matrix(Value(node: $0))) })
    case .chain, .copy: break
    }
    preconditionFailure("a chain has tile programs and products")
  }

  private mutating func matrix(_ value: Value) -> RowChain.Operand {
    let shape = graph.shape(of: value)
    return RowChain.Operand(
      place(of: graph.base(of: value)), graph.dtype(of: value), rows: shape.rows,
      columns: shape.columns)
  }

  private mutating func place(of value: Value) -> RowChain.Place {
    if let offset = chain.scratch.offsets[value] {
      let bytes = graph.type(of: value).byteCount
      return .scratch(byte: offset, bytesPerRow: bytes / chain.rows)
    }
    if let known = places[value] { return .memory(known) }
    external.append(value)
    places[value] = external.count - 1
    return .memory(external.count - 1)
  }
}
