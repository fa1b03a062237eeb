/// A block and its gradients by themselves: equal for blocks that differ only in their weights' names.
struct BlockStructure: Hashable {
  /// An operation of the block.
  struct Member: Hashable {
    let op: Op
    let inputs: [Source]
    let inputTypes: [ValueType]
    let results: [ValueType]
    /// Whether it serves kernels or other phases and could be kept.
    let isKeepable: Bool
    /// Whether another phase reads it.
    let leaves: Bool
    /// Whether it is what dropout leaves of a value, which every kernel has made for itself.
    let isMasked: Bool

    var byteCount: Int { results.reduce(0) { $0 + $1.byteCount } }
  }

  /// Where an input comes from.
  enum Source: Hashable {
    /// A member of the block.
    case forward(Int)
    /// A member of its gradients.
    case backward(Int)
    /// A gradient that arrives, in the order of first use.
    case arriving(Int, byteCount: Int)
    /// A weight, a number, or what an earlier block made.
    case given
  }

  private(set) var forward: [Member] = []
  private(set) var backward: [Member] = []
}

extension BlockStructure {
  /// Takes the nodes `forward` and `backward` of a graph, in its order, apart from the rest.
  init(
    _ graph: Graph, forward: [Int], backward: [Int], uses: ForwardUses, leaves: [Bool],
    local: [Int]
  ) {
    var arrived: [Int: Int] = [:]
    let phases = (graph.nodes[forward[0]].phase, backward.first.map { graph.nodes[$0].phase })
    func member(_ place: Int) -> Member {
      let node = graph.nodes[place]
      let sources = node.inputs.map { input -> Source in
        let phase = graph.nodes[input.node].phase
        if input.node < uses.count {
          return phase == phases.0 ? .forward(local[input.node]) : .given
        }
        switch graph.nodes[input.node].op.kind {
        case .leaf, .constant: return .given
        case .fusible, .view, .opaque, .effect: break
        }
        if phase == phases.1 { return .backward(local[input.node]) }
        let known = arrived[input.node] ?? arrived.count
        arrived[input.node] = known
        return .arriving(known, byteCount: graph.type(of: input).byteCount)
      }
      return Member(
        op: node.op, inputs: sources, inputTypes: node.inputs.map { graph.type(of: $0) },
        results: node.results, isKeepable: place < uses.count && uses.isKeepable(place),
        leaves: leaves[place], isMasked: graph.isMasked(place))
    }
    self.forward = forward.map(member)
    self.backward = backward.map(member)
  }
}
