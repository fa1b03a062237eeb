/// Counter-based random numbers: Philox 4×32-10, as of Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3".
///
/// Every value is a pure function of (seed, stream, step, index), so a resumed run sees what an unbroken one would.
package enum RandomStream {
  /// Four random words of a counter under a key.
  package static func philox(
    counter: SIMD4<UInt32>, key: SIMD2<UInt32>
  ) -> SIMD4<UInt32> {
    var (c, k) = (counter, key)
    for round in 0..<10 {
      if round > 0 {
        k[0] &+= 0x9E37_79B9
        k[1] &+= 0xBB67_AE85
      }
      let a = UInt64(c[0]) * 0xD251_1F53
      let b = UInt64(c[2]) * 0xCD9E_8D57
      c = SIMD4(
        UInt32(truncatingIfNeeded: b >> 32) ^ c[1] ^ k[0], UInt32(truncatingIfNeeded: b),
        UInt32(truncatingIfNeeded: a >> 32) ^ c[3] ^ k[1], UInt32(truncatingIfNeeded: a))
    }
    return c
  }

  /// The key of a stream: the seed, mixed with the high half of the stream.
  static func key(seed: UInt64, stream: UInt64) -> SIMD2<UInt32> {
    SIMD2(
      UInt32(truncatingIfNeeded: seed),
      UInt32(truncatingIfNeeded: seed >> 32) ^ UInt32(truncatingIfNeeded: stream >> 32))
  }

  /// The four words at a position; the counter is (block's low half, block's high half with the step's, step, stream).
  private static func words(_ seed: UInt64, _ stream: UInt64, _ step: UInt64, _ block: UInt64)
    -> SIMD4<UInt32>
  {
    philox(
      counter: SIMD4(
        UInt32(truncatingIfNeeded: block),
        UInt32(truncatingIfNeeded: block >> 32) ^ UInt32(truncatingIfNeeded: step >> 32) &* 0x10001,
        UInt32(truncatingIfNeeded: step), UInt32(truncatingIfNeeded: stream)),
      key: key(seed: seed, stream: stream))
  }

  /// The 32 random bits at an index.
  package static func word(seed: UInt64, stream: UInt64, step: UInt64, index: UInt64) -> UInt32 {
    words(seed, stream, step, index / 4)[Int(index % 4)]
  }

  /// Uniform in [0, 1), on a grid of 2⁻²⁴.
  package static func uniform(
    seed: UInt64, stream: UInt64, step: UInt64 = 0, into values: inout [Float]
  ) {
    for first in Swift.stride(from: 0, to: values.count, by: 4) {
      let word = words(seed, stream, step, UInt64(first / 4))
      for i in first..<min(values.count, first + 4) {
        values[i] = Float(word[i - first] >> 8) * 0x1p-24
      }
    }
  }
}
