import GraftCore
import GraftKernels
import Testing

@Suite struct GEMMTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var m: Int, n: Int, k: Int
    var testDescription: String { "\(m)×\(n)×\(k)" }
  }

  static let cases = [
    Case(m: 1, n: 1, k: 1), Case(m: 3, n: 5, k: 7), Case(m: 130, n: 70, k: 65),
    Case(m: 1, n: 200, k: 96), Case(m: 5, n: 131, k: 48), Case(m: 300, n: 8, k: 72),
    Case(m: 8, n: 150, k: 300), Case(m: 200, n: 140, k: 8), Case(m: 129, n: 16, k: 33),
    Case(m: 16, n: 9, k: 200), Case(m: 150, n: 300, k: 130), Case(m: 70, n: 12, k: 257),
    Case(m: 1, n: 1, k: 100), Case(m: 100, n: 1, k: 1),
  ]

  static let dtypes: [(DType, DType, DType)] = [
    (.f32, .f32, .f32), (.bf16, .bf16, .bf16), (.bf16, .bf16, .f32), (.bf16, .f32, .f32),
    (.f32, .bf16, .f32), (.f32, .f32, .bf16), (.bf16, .f32, .bf16), (.f16, .f32, .f16),
  ]

  @Test(arguments: cases, dtypes)
  func `equals sums in double precision`(c: Case, dtypes: (DType, DType, DType)) throws {
    let aValues = wave(c.m * c.k, phase: 0.3, scale: 1)
    let bValues = wave(c.k * c.n, phase: 0.8, scale: 1)
    let start = wave(c.m * c.n, phase: 0.1, scale: 1)
    for (ta, tb) in [(false, false), (true, false), (false, true), (true, true)] {
      let a = try MemorySlice(aValues, dtypes.0, ta ? [c.k, c.m] : [c.m, c.k])
      let b = try MemorySlice(bValues, dtypes.1, tb ? [c.n, c.k] : [c.k, c.n])
      let (av, bv) = (a.values, b.values)
      for (scale, accumulate) in [(Float(1), false), (Float(1), true), (Float(0.5), true)] {
        let result = try MemorySlice(start, dtypes.2, [c.m, c.n])
        let before = result.values
        var expected = [Float](repeating: 0, count: c.m * c.n)
        for i in 0..<c.m {
          for j in 0..<c.n {
            var sum = 0.0
            for p in 0..<c.k {
              sum +=
                Double(av[ta ? p * c.m + i : i * c.k + p])
                * Double(bv[tb ? j * c.k + p : p * c.n + j])
            }
            expected[i * c.n + j] =
              Float(Double(scale) * sum + (accumulate ? Double(before[i * c.n + j]) : 0))
          }
        }
        kernels().gemm(
          a, transposed: ta, b, transposed: tb, into: result, scale: scale, accumulate: accumulate)
        let tolerance: Float = dtypes.2 == .f32 ? 4e-6 : dtypes.2 == .f16 ? 1e-3 : 5e-3
        #expect(
          relativeError(result.values, expected) < tolerance,
          "transposed \(ta) \(tb), scale \(scale), accumulate \(accumulate)")
      }
    }
  }

  @Test(arguments: cases + [Case(m: 700, n: 600, k: 90)], dtypes)
  func `gives the same bits on any number of threads`(c: Case, dtypes: (DType, DType, DType)) throws
  {
    let a = try MemorySlice(wave(c.m * c.k, phase: 0.3, scale: 1), dtypes.0, [c.m, c.k])
    let b = try MemorySlice(wave(c.k * c.n, phase: 0.8, scale: 1), dtypes.1, [c.n, c.k])
    let images = try [1, 2, 3, 4].map { threads in
      let result = try MemorySlice(zeros: dtypes.2, [c.m, c.n])
      kernels(threads: threads).gemm(a, transposed: false, b, transposed: true, into: result)
      return result.image
    }
    #expect(images.allSatisfy { $0 == images[0] })
  }

  @Test(arguments: [(300, 8, 72), (8, 160, 300), (200, 140, 8), (129, 16, 33), (37, 31, 257)])
  func `products with a small extent have the same bits at every level`(
    m: Int, n: Int, k: Int
  ) throws {
    for (ta, tb) in [(false, false), (true, false), (false, true)] {
      let a = try MemorySlice(
        wave(m * k, phase: 0.3, scale: 1), .bf16, ta ? [k, m] : [m, k])
      let b = try MemorySlice(wave(k * n, phase: 0.8, scale: 1), .f32, tb ? [n, k] : [k, n])
      let images = try SIMDLevel.allCases.map { level in
        let result = try MemorySlice(wave(m * n, phase: 0.1, scale: 1), .f32, [m, n])
        kernels(threads: 2, level).gemm(
          a, transposed: ta, b, transposed: tb, into: result, scale: 0.5, accumulate: true)
        return result.image
      }
      #expect(images.allSatisfy { $0 == images[0] }, "transposed \(ta) \(tb)")
    }
  }
}
