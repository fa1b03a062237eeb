internal import GraftKernels

/// Shuffles that a seed decides.
enum RandomOrder {
  /// Shuffles by Fisher and Yates's method with counter-based random numbers.
  static func shuffle<Element>(
    _ elements: inout [Element], seed: UInt64, _ purpose: RandomPurpose, step: Int = 0
  ) {
    for last in stride(from: elements.count - 1, to: 0, by: -1) {
      let word = RandomStream.word(
        seed: seed, stream: purpose.rawValue, step: UInt64(step), index: UInt64(last))
      elements.swapAt(last, Int((UInt64(word) * UInt64(last + 1)) >> 32))
    }
  }
}

/// What a random stream is for; streams with different purposes never share numbers.
enum RandomPurpose: UInt64 {
  case initialization = 1
  case shuffle = 2
  case packing = 3
}
