import GraftCore
import GraftKernels
import Testing

/// Masks of dropout: the words of the random streams, whatever makes them, and what chance promises of them.
@Suite struct DropoutMaskTests {
  /// The mask of a batch as a tile program makes it.
  private func made(
    _ mask: DropoutMask, batch: Int64, rows: Int, columns: Int, by kernels: Kernels
  ) throws -> [Float] {
    let number = try MemorySlice(allocating: .i64, [1])
    number.replaceElements([batch])
    let result = try MemorySlice(zeros: .f32, [rows, columns])
    kernels.run(
      TileProgram(
        rows: rows, columns: columns,
        bindings: [
          .init(dtype: .i64, width: .one, rowModulus: 1), .init(dtype: .f32, width: .columns),
        ],
        instructions: [.dropoutMask(mask, batch: 0), .store(0, binding: 1)]),
      [number, result])
    return result.values
  }

  @Test(
    arguments: [(1, 1), (1, 64), (3, 70), (9, 33), (130, 48), (2, 9001), (400, 576)],
    TileTests.levels)
  func `every tile makes the elements' own factors`(
    extents: (rows: Int, columns: Int), level: SIMDLevel
  ) throws {
    // Seeds, streams and batches beyond 32 bits count with all their bits.
    let mask = DropoutMask(
      probability: 0.25, seed: 0x9E37_79B9_7F4A_7C15, stream: 0xDEAD_BEEF_0102_0304)
    for batch in [0, 1, 0x7_0000_0003] as [Int64] {
      let expected = (0..<extents.rows * extents.columns).map {
        mask.factor(batch: UInt64(batch), element: UInt64($0))
      }
      for threads in [1, 3] {
        let found = try made(
          mask, batch: batch, rows: extents.rows, columns: extents.columns,
          by: kernels(threads: threads, level))
        #expect(found == expected)
      }
    }
  }

  @Test(arguments: [0, 1e-12, 0.05, 0.3, 0.5, 0.97])
  func `the dropped fraction is the probability, and the mean stays`(probability: Double) throws {
    let count = 1 << 20
    let mask = DropoutMask(probability: probability, seed: 11, stream: 2)
    let factors = try made(mask, batch: 4, rows: 1 << 10, columns: 1 << 10, by: kernels())
    let dropped = Double(factors.count { $0 == 0 }) / Double(count)
    let deviation = (probability * (1 - probability) / Double(count)).squareRoot()
    #expect(abs(dropped - probability) <= 4 * deviation)
    let scale = Float(1 / (1 - probability))
    #expect(factors.allSatisfy { $0 == 0 || $0 == scale })
    let mean = factors.reduce(0.0) { $0 + Double($1) } / Double(count)
    #expect(abs(mean - 1) <= 4 * deviation / (1 - probability))
  }

  /// Two masks that have no business with each other, and the distance at which their elements are compared.
  struct Pair: Sendable, CustomTestStringConvertible {
    var name: String
    var seed: UInt64 = 1
    var stream: UInt64 = 1
    var batch: Int64 = 1
    var distance = 0
    var testDescription: String { name }
  }

  static let pairs: [Pair] =
    [
      Pair(name: "seeds", seed: 2), Pair(name: "streams", stream: 2),
      Pair(name: "batches", batch: 2),
      Pair(name: "streams by their high half", stream: 1 + 1 << 32),
      Pair(name: "batches by their high half", batch: 1 + 1 << 32),
    ] + [1, 2, 3, 4, 5, 63, 64, 1024].map { Pair(name: "elements \($0) apart", distance: $0) }

  @Test(arguments: pairs)
  func `masks are independent of each other`(pair: Pair) throws {
    let (rows, columns, p) = (1 << 10, 1 << 10, 0.3)
    let one = try made(
      DropoutMask(probability: p, seed: 1, stream: 1), batch: 1, rows: rows, columns: columns,
      by: kernels())
    let other = try made(
      DropoutMask(probability: p, seed: pair.seed, stream: pair.stream), batch: pair.batch,
      rows: rows, columns: columns, by: kernels())
    let count = one.count - pair.distance
    let both = zip(one, other.dropFirst(pair.distance)).count { $0 == 0 && $1 == 0 }
    // Both are dropped with probability p².
    let deviation = (p * p * (1 - p * p) / Double(count)).squareRoot()
    #expect(abs(Double(both) / Double(count) - p * p) <= 4 * deviation)
  }
}
