/// One step of the compiled program.
package enum Step: Sendable {
  /// A fused tile program.
  case tiles(LoweredGroup)
  /// An opaque node.
  case kernel(node: Int)
  /// Products of one left operand.
  case siblings([Int])
  /// Tile programs and products that run together by tiles of rows.
  case chain(Chain)
  /// Copies a value into a parameter.
  case copy(from: Value, to: Value)
}

extension Step {
  /// The values in memory that the step reads; what a chain hands on inside isn't among them.
  package func reads(in graph: Graph) -> [Value] {
    switch self {
    case .tiles(let group): Array(group.operands[..<group.readCount])
    case .kernel(let place): graph.nodes[place].inputs.map { graph.base(of: $0) }
    case .siblings(let places):
      places.prefix(1).map { graph.base(of: graph.nodes[$0].inputs[0]) }
        + places.map { graph.base(of: graph.nodes[$0].inputs[1]) }
    case .chain(let chain): chain.reads
    case .copy(let from, _): [from]
    }
  }

  /// The values that the step makes for others.
  package func writes(in graph: Graph) -> [Value] {
    switch self {
    case .tiles(let group): Array(group.operands[group.readCount...])
    case .kernel(let place):
      graph.nodes[place].results.indices.map { Value(node: place, result: $0) }
    case .siblings(let places): places.map { Value(node: $0) }
    case .chain(let chain): chain.writes
    case .copy: []
    }
  }

  /// The opaque nodes that the step runs.
  package var kernels: [Int] {
    switch self {
    case .kernel(let place): [place]
    case .siblings(let places): places
    case .chain(let chain): chain.members.flatMap(\.kernels)
    case .tiles, .copy: []
    }
  }
}
