internal import GraftCore
internal import GraftKernels

extension Schedule {
  /// Joins products of one left operand where they gain by it: with few rows, as in generation, they become one job; with small
  /// results, as those of adapters, the operand is read once.
  ///
  /// A product moves up to its first sibling, so its right operand must be there from the start: a leaf.
  mutating func joinSiblings(_ graph: Graph) {
    var first: [Siblings: Int] = [:]
    var joined: [Step] = []
    for step in steps {
      guard case .kernel(let place) = step, let key = Siblings(place, graph) else {
        joined.append(step)
        continue
      }
      guard let index = first[key] else {
        first[key] = joined.count
        joined.append(step)
        continue
      }
      joined[index] = .siblings(joined[index].kernels + [place])
    }
    steps = joined
  }
}

/// What products that may be joined have in common.
private struct Siblings: Hashable {
  let left: Value
  let phase: Int
  let isNarrow: Bool

  /// What a node is joined by; nil for one that nothing is gained with.
  init?(_ place: Int, _ graph: Graph) {
    let node = graph.nodes[place]
    guard case .matmul(transposeA: false, transposeB: true) = node.op,
      graph.nodes[graph.base(of: node.inputs[1]).node].op.kind == .leaf
    else { return nil }
    let shape = node.results[0].shape
    isNarrow = shape[1] <= RowChain.skinny && shape[0] > Kernels.fewRows
    guard isNarrow || shape[0] <= Kernels.fewRows else { return nil }
    left = node.inputs[0]
    phase = node.phase
  }
}
