/// What the backward pass recomputes instead of keeping.
public enum RecomputePolicy: String, Sendable, CaseIterable {
  /// Results of GEMMs, attention and gathers are kept; only pointwise chains run again, inside the backward's own tiles.
  case none
  /// Only what crosses a block's borders is kept; blocks run again before their backward pass.
  case block
}

extension Graph {
  /// Gives the backward pass its own copies of forward values that aren't kept.
  ///
  /// A copy runs the same instructions on the same inputs, so it has the same bits. What nobody needs, such as a block's last
  /// GEMM, is never copied.
  package func rematerialized(_ policy: RecomputePolicy) -> (graph: Graph, map: [Value: Value]) {
    guard let start = backwardStart else {
      return (self, Dictionary(uniqueKeysWithValues: allValues.map { ($0, $0) }))
    }
    var pass = Rematerialization(self, policy, forwardCount: start)
    return pass.run()
  }

  fileprivate var allValues: [Value] {
    nodes.indices.flatMap { place in
      nodes[place].results.indices.map { Value(node: place, result: $0) }
    }
  }
}

private struct Rematerialization {
  let source: Graph
  let policy: RecomputePolicy
  let forwardCount: Int
  var target = Graph()
  var map: [Value: Value] = [:]
  private var crossesPhases: Set<Value> = []
  private var feedsKernel: Set<Value> = []

  init(_ source: Graph, _ policy: RecomputePolicy, forwardCount: Int) {
    self.source = source
    self.policy = policy
    self.forwardCount = forwardCount
    for node in source.nodes[..<forwardCount] {
      for input in node.inputs {
        if source.nodes[input.node].phase != node.phase { crossesPhases.insert(input) }
        if node.op.kind == .opaque { feedsKernel.insert(source.base(of: input)) }
      }
    }
  }

  mutating func run() -> (graph: Graph, map: [Value: Value]) {
    for (place, node) in source.nodes.enumerated() {
      let isBackward = place >= forwardCount
      if place == forwardCount { target.backwardStart = target.nodes.count }
      let inputs = node.inputs.map { input in
        isBackward && input.node < forwardCount
          ? forward(input, for: node.op.kind, in: node.phase) : map[input] ?? input
      }
      copy(node, inputs, phase: node.phase, from: place)
    }
    return (target, map)
  }

  private mutating func copy(_ node: Node, _ inputs: [Value], phase: Int, from place: Int) {
    target.phase = phase
    let new = target.add(node.op, inputs, node.results)
    for result in node.results.indices {
      map[Value(node: place, result: result)] = Value(node: new.node, result: result)
    }
  }

  /// A forward value as a node of the backward pass sees it: kept, or computed again in that node's phase.
  private mutating func forward(_ value: Value, for user: Op.Kind, in phase: Int) -> Value {
    let node = source.nodes[value.node]
    let kept = map[value] ?? value
    let keepsKernels = policy == .none || !isInBlock(node)
    switch node.op.kind {
    case .leaf, .constant, .effect: return kept
    case .opaque: if keepsKernels || crossesPhases.contains(value) { return kept }
    case .fusible:
      let isInMemoryAnyway = user == .opaque && feedsKernel.contains(value)
      if crossesPhases.contains(value) || (isInMemoryAnyway && keepsKernels) { return kept }
    case .view: break
    }
    let inputs = node.inputs.map { input in
      forward(input, for: node.op.kind == .view ? user : node.op.kind, in: phase)
    }
    target.phase = phase
    let again = target.add(node.op, inputs, node.results)
    return Value(node: again.node, result: value.result)
  }

  private func isInBlock(_ node: Node) -> Bool { node.phase % 2 == 1 }
}

extension Graph {
  /// The value whose memory a view shows.
  package func base(of value: Value) -> Value {
    var value = value
    while nodes[value.node].op.kind == .view { value = nodes[value.node].inputs[0] }
    return value
  }
}
