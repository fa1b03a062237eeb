import GraftKernels
import Testing

@Suite struct RandomStreamTests {
  /// The known answers that come with Random123.
  @Test(arguments: [
    (
      SIMD4<UInt32>(repeating: 0), SIMD2<UInt32>(repeating: 0),
      SIMD4<UInt32>(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8)
    ),
    (
      SIMD4<UInt32>(repeating: .max), SIMD2<UInt32>(repeating: .max),
      SIMD4<UInt32>(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd)
    ),
    (
      SIMD4<UInt32>(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344),
      SIMD2<UInt32>(0xa409_3822, 0x299f_31d0),
      SIMD4<UInt32>(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1)
    ),
  ])
  func `Philox gives the known answers`(
    counter: SIMD4<UInt32>, key: SIMD2<UInt32>, answer: SIMD4<UInt32>
  ) {
    #expect(RandomStream.philox(counter: counter, key: key) == answer)
  }

  @Test func `normal numbers have mean 0 and variance 1`() {
    var values = [Float](repeating: 0, count: 100_000)
    RandomStream.normal(seed: 7, stream: 1, into: &values)
    let mean = values.reduce(0, +) / 100_000
    let variance = values.reduce(0) { $0 + $1 * $1 } / 100_000
    #expect(abs(mean) < 0.01)
    #expect(abs(variance - 1) < 0.02)
  }

  @Test func `streams, steps and seeds differ, and a prefix stays`() {
    func draw(_ seed: UInt64, _ stream: UInt64, _ step: UInt64, _ count: Int) -> [Float] {
      var values = [Float](repeating: 0, count: count)
      RandomStream.uniform(seed: seed, stream: stream, step: step, into: &values)
      return values
    }
    let first = draw(1, 2, 3, 16)
    #expect(draw(1, 2, 3, 9) == Array(first.prefix(9)))
    for other in [draw(2, 2, 3, 16), draw(1, 3, 3, 16), draw(1, 2, 4, 16), draw(1, 2 << 40, 3, 16)]
    {
      #expect(other != first)
    }
    #expect(first.allSatisfy { 0 <= $0 && $0 < 1 })
  }
}
