import GraftCore
import GraftKernels
import Testing

@Suite struct ConvertTests {
  static let levels = SIMDLevel.allCases.filter { $0 <= .best }

  /// Values at which rounding is hard: ties, neighbours of ties, the edges of the ranges, NaN.
  static let hard: [Float] = {
    var values: [Float] = [0, -0.0, .infinity, -.infinity, .nan, 65504, 65519.996, 65520, 0x1p-149]
    for exponent in stride(from: -149, through: 127, by: 3) {
      for pattern: UInt32 in [0, 0x1000, 0x0FFF, 0x1001, 0x3000, 0x8000, 0x7FFF, 0x8001, 0x1_8000] {
        let base = Float(sign: .plus, exponent: exponent, significand: 1)
        values.append(Float(bitPattern: base.bitPattern | pattern))
        values.append(-Float(bitPattern: base.bitPattern | pattern))
      }
    }
    return values
  }()

  @Test(arguments: levels, [DType.bf16, .f16, .f64])
  func `rounds f32 to nearest even`(level: SIMDLevel, dtype: DType) throws {
    let source = try MemorySlice(Self.hard, .f32, [Self.hard.count])
    let target = try MemorySlice(zeros: dtype, [Self.hard.count])
    kernels(threads: 1, level).convert(source, to: target)
    let expected = try MemorySlice(Self.hard, dtype, [Self.hard.count])
    for (a, b) in zip(target.values, expected.values) { #expect(a == b || (a.isNaN && b.isNaN)) }
  }

  @Test(arguments: levels, [DType.bf16, .f16])
  func `widens every 16-bit pattern exactly, and back`(level: SIMDLevel, dtype: DType) throws {
    let half = try MemorySlice(zeros: dtype, [65536])
    half.memory.withMutableBytes { bytes in
      bytes.withUnsafeMutableBytes { raw in
        for i in 0..<65536 {
          raw.storeBytes(of: UInt16(i), toByteOffset: 2 * i, as: UInt16.self)
        }
      }
    }
    let wide = try MemorySlice(zeros: .f32, [65536])
    kernels(threads: 1, level).convert(half, to: wide)
    for (a, b) in zip(wide.values, half.values) {
      #expect(a.bitPattern == b.bitPattern || (a.isNaN && b.isNaN))
    }
    let back = try MemorySlice(zeros: dtype, [65536])
    kernels(threads: 1, level).convert(wide, to: back)
    for (a, b) in zip(back.values, half.values) {
      #expect(a.bitPattern == b.bitPattern || (a.isNaN && b.isNaN))
    }
  }

  @Test(arguments: levels)
  func `rounds f64 once`(level: SIMDLevel) throws {
    // A tie of f16 after rounding to f32, but not before.
    let above = 1 + 0x1p-11 + 0x1p-40
    let source = try MemorySlice(zeros: .f64, [1])
    source.memory.withMutableBytes {
      $0.withUnsafeMutableBytes { $0.storeBytes(of: above, as: Double.self) }
    }
    let target = try MemorySlice(zeros: .f16, [1])
    kernels(threads: 1, level).convert(source, to: target)
    #expect(target.values == [Float(Float16(above))])
    #expect(target.values == [1 + 0x1p-10])
  }
}
