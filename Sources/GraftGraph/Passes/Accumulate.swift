internal import GraftCore
internal import GraftKernels

extension Graph {
  /// Adds a gradient to its accumulator, a parameter, at the end of the computation; the gradient itself is no longer a value to ask for.
  ///
  /// What kernels scatter over a whole vocabulary they add to the accumulator one after the other, so that no other memory holds it.
  /// - Parameter sum: a parameter that was made before the gradient.
  package mutating func accumulate(_ gradient: Value, into sum: Value) {
    var additions: [Int] = []
    guard collectAdditions(gradient, into: &additions), additions.allSatisfy({ $0 > sum.node }),
      Set(additions).count == additions.count
    else {
      assign(sum, add(sum, gradient))
      return
    }
    var total = sum
    for place in additions.sorted() {
      append(total, toInputsOf: place)
      total = Value(node: place)
    }
    assign(sum, total)
  }

  /// Takes a gradient apart into kernels that can begin with a sum; false when it is anything else, or is read elsewhere.
  private func collectAdditions(_ gradient: Value, into additions: inout [Int]) -> Bool {
    var stack = [gradient]
    var inner: Set<Int> = []
    while let value = stack.popLast() {
      let node = nodes[value.node]
      switch node.op {
      case .binary(.add) where node.inputs.allSatisfy { shape(of: $0) == shape(of: value) }:
        inner.insert(value.node)
        stack += node.inputs
      case .scatterAdd, .crossEntropyHeadGradient:
        guard sumSoFar(of: value.node) == nil else { return false }
        additions.append(value.node)
      case .parameter, .input, .constant, .dropoutMask, .unary, .binary, .select, .cast,
        .broadcast, .rotateHalf, .rowReduce, .sumRows, .reshape, .matmul, .attention,
        .attentionBackward, .cachedAttention, .gather, .crossEntropy, .assign:
        return false
      }
    }
    let parts = inner.union(additions)
    return nodes.indices.allSatisfy { place in
      inner.contains(place) || nodes[place].inputs.allSatisfy { !parts.contains($0.node) }
    }
  }

  /// What a kernel adds to, if anything.
  private func sumSoFar(of place: Int) -> Value? {
    let node = nodes[place]
    switch node.op {
    case .scatterAdd: return node.inputs.dropFirst(2).first
    case .crossEntropyHeadGradient: return node.inputs.dropFirst(4).first
    case .parameter, .input, .constant, .dropoutMask, .unary, .binary, .select, .cast, .broadcast,
      .rotateHalf, .rowReduce, .sumRows, .reshape, .matmul, .attention, .attentionBackward,
      .cachedAttention, .gather, .crossEntropy, .assign:
      return nil
    }
  }

  /// The results of kernels that add to a parameter one after the other, in order; nil when a value isn't the last of such.
  func additions(to parameter: Value, endingAt value: Value) -> [Value]? {
    var result: [Value] = []
    var value = value
    while value != parameter {
      guard let sum = sumSoFar(of: value.node) else { return nil }
      result.append(value)
      value = base(of: sum)
    }
    return result.reversed()
  }
}
