/// Which forward values a graph keeps in memory for its backward pass; the rest runs again.
///
/// A kept result of a fused chain serves kernels, and other phases; a backward chain computes it again from what the chain read,
/// which is kept or comes from something kept.
package struct RecomputePlan: Sendable, Equatable {
  /// For each forward node, whether its results are kept.
  package private(set) var keeps: [Bool]

  /// The plan that keeps everything that can be kept.
  package static func everything(in graph: Graph) -> RecomputePlan {
    RecomputePlan(keeping: { _ in true }, in: graph)
  }

  /// The plan that keeps as little as possible without running a kernel again.
  package static func kernels(in graph: Graph, outputs: [Value]) -> RecomputePlan {
    kernels(in: graph, of: BlockSequence(graph, outputs: outputs, costs: .standard))
  }

  /// The same for a graph whose blocks were looked at already.
  static func kernels(in graph: Graph, of sequence: BlockSequence) -> RecomputePlan {
    var kept: Set<Int> = []
    for block in sequence.blocks {
      kept.formUnion(block.withoutKernelsAgain.kept.map { block.nodes[$0] } + block.handed)
    }
    return RecomputePlan(keeping: { kept.contains($0) }, in: graph)
  }

  /// The plan that keeps only what crosses the blocks' borders.
  package static func borders(in graph: Graph) -> RecomputePlan {
    let uses = ForwardUses(graph)
    return RecomputePlan(keeping: { uses.crosses[$0] }, in: graph)
  }

  /// A plan that keeps what can be kept among some nodes.
  package init(keeping isKept: (Int) -> Bool, in graph: Graph) {
    let uses = ForwardUses(graph)
    keeps = (0..<uses.count).map { place in
      uses.isKeepable(place) && (!uses.isInBlock(place) || isKept(place))
    }
  }

  /// Keeps a node's results or lets them go.
  package subscript(place: Int) -> Bool {
    get { keeps[place] }
    set { keeps[place] = newValue }
  }
}

/// How the forward nodes of a graph are used: by other phases, by kernels.
package struct ForwardUses: Sendable {
  /// How many nodes the forward pass has.
  package let count: Int
  /// For each forward node, whether a forward node of another phase reads it.
  package private(set) var crosses: [Bool]
  /// For each forward node, whether a forward kernel reads it, so that it is in memory anyway.
  package private(set) var feedsKernel: [Bool]
  private let kinds: [Op.Kind]
  private let phases: [Int]
  /// Whether a node makes a copy of what is in memory anyway.
  private let copies: [Bool]

  package init(_ graph: Graph) {
    count = graph.backwardStart ?? graph.nodes.count
    crosses = [Bool](repeating: false, count: count)
    feedsKernel = crosses
    kinds = graph.nodes[..<count].map(\.op.kind)
    phases = graph.nodes[..<count].map(\.phase)
    copies = (0..<count).map { graph.isCastOfLeaf($0) || graph.isMasked($0) }
    for (place, node) in graph.nodes[..<count].enumerated() {
      for input in node.inputs {
        if phases[input.node] != phases[place] { crosses[input.node] = true }
        if kinds[place] == .opaque { feedsKernel[graph.base(of: input).node] = true }
      }
    }
  }

  /// Whether keeping a node means anything: a kernel's result, or a chain's that is in memory anyway.
  ///
  /// A trained weight in the dtype of the computation is never kept: all of them would be a second model. Nor is what dropout left of
  /// a value.
  package func isKeepable(_ place: Int) -> Bool {
    switch kinds[place] {
    case .opaque: true
    case .fusible: !copies[place] && (crosses[place] || feedsKernel[place])
    case .leaf, .constant, .view, .effect: false
    }
  }

  /// Whether a node belongs to a block.
  package func isInBlock(_ place: Int) -> Bool { phases[place] % 2 == 1 }
}
