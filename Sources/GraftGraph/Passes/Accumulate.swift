internal import GraftCore
internal import GraftKernels

extension Graph {
  /// Adds the backward pass, and each parameter's gradient to its accumulator, which is a parameter too.
  ///
  /// A gradient is added right where it is whole, so that it doesn't outlive its block. What kernels scatter over a whole vocabulary
  /// they add to the accumulator one after the other, so that no other memory holds it.
  /// - Parameter sums: the accumulators, which were made before.
  /// - Throws: ``GraphError`` when a parameter has no path to the loss or an operation on the way has no gradient.
  package mutating func differentiate(
    _ loss: Value, into sums: [(parameter: Value, sum: Value)]
  ) throws(GraphError) {
    let sumOf = Dictionary(
      sums.map { ($0.parameter, $0.sum) }, uniquingKeysWith: { first, _ in first })
    var scattered: [(sum: Value, gradient: Value, parts: GradientParts)] = []
    try differentiate(loss, withRespectTo: sums.map(\.parameter)) { graph, parameter, gradient in
      guard let sum = sumOf[parameter] else { return }
      if let parts = graph.parts(of: gradient) {
        scattered.append((sum, gradient, parts))
      } else {
        graph.assign(sum, graph.add(sum, gradient))
      }
    }
    // All readers are known now; gradients of several parameters may have parts in common.
    var uses: [Int: Int] = [:]
    for place in scattered.flatMap(\.parts.kernels) { uses[place, default: 0] += 1 }
    for (sum, gradient, parts) in scattered {
      if parts.kernels.allSatisfy({ uses[$0] == 1 && $0 > sum.node }), isPrivate(parts) {
        assign(sum, chained(parts.kernels, from: sum))
      } else {
        assign(sum, add(sum, gradient))
      }
    }
  }

  /// The nodes of a gradient that is a sum of what kernels scatter.
  private struct GradientParts {
    /// The kernels, in order.
    var kernels: [Int] = []
    /// The additions.
    var additions: Set<Int> = []
  }

  /// Takes a gradient apart into kernels that can begin with a sum; nil when it is anything else.
  private func parts(of gradient: Value) -> GradientParts? {
    var parts = GradientParts()
    var stack = [gradient]
    while let value = stack.popLast() {
      let node = nodes[value.node]
      if node.op.sumInput != nil {
        guard !parts.kernels.contains(value.node) else { return nil }
        parts.kernels.append(value.node)
      } else if node.op == .binary(.add),
        node.inputs.allSatisfy({ shape(of: $0) == shape(of: value) }),
        parts.additions.insert(value.node).inserted
      {
        stack += node.inputs
      } else {
        return nil
      }
    }
    parts.kernels.sort()
    return parts
  }

  /// Whether nobody but the additions reads a gradient's parts.
  private func isPrivate(_ parts: GradientParts) -> Bool {
    let all = parts.additions.union(parts.kernels)
    return nodes.indices.allSatisfy { place in
      parts.additions.contains(place) || !nodes[place].inputs.contains { all.contains($0.node) }
    }
  }

  /// Has kernels begin with a sum, and each with what the one before it made; gives the last one's result.
  private mutating func chained(_ kernels: [Int], from sum: Value) -> Value {
    kernels.reduce(sum) { total, place in
      append(total, toInputsOf: place)
      return Value(node: place)
    }
  }

  /// The results of kernels that add to a parameter one after the other, in order; nil when a value isn't the last of such.
  func additions(to parameter: Value, endingAt value: Value) -> [Value]? {
    var result: [Value] = []
    var value = value
    while value != parameter {
      guard let sum = nodes[value.node].sumSoFar else { return nil }
      result.append(value)
      value = base(of: sum)
    }
    return result.reversed()
  }
}
