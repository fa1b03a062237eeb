internal import CKernels

extension RandomStream {
  /// Normal with mean 0 and variance 1, by Box and Muller from pairs of words.
  package static func normal(
    seed: UInt64, stream: UInt64, step: UInt64 = 0, into values: inout [Float]
  ) {
    for first in Swift.stride(from: 0, to: values.count, by: 2) {
      let a = word(seed: seed, stream: stream, step: step, index: UInt64(first))
      let b = word(seed: seed, stream: stream, step: step, index: UInt64(first + 1))
      // (0, 1], so that the logarithm is finite.
      let radius = (-2 * graft_log((Float(a >> 8) + 1) * 0x1p-24)).squareRoot()
      let angle = Float(b >> 8) * 0x1p-24 * 2 * .pi
      values[first] = radius * graft_cosine(angle)
      if first + 1 < values.count { values[first + 1] = radius * graft_sine(angle) }
    }
  }
}
