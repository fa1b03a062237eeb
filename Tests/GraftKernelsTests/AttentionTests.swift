import GraftCore
import GraftKernels
import Testing

@Suite struct AttentionTests {
  static let shape = AttentionShape(
    batch: 2, sequence: 150, heads: 4, keyValueHeads: 2, headDim: 8, scale: 0.6)
  static let rows = 300

  struct Run {
    let q, k, v, o, logSumExp, dq, dk, dv: MemorySlice

    init(_ kernels: Kernels, _ dtype: DType) throws {
      let (shape, rows) = (AttentionTests.shape, AttentionTests.rows)
      q = try MemorySlice(wave(rows * 32, phase: 0.1, scale: 2), dtype, [rows, 32])
      k = try MemorySlice(wave(rows * 16, phase: 0.5, scale: 2), dtype, [rows, 16])
      v = try MemorySlice(wave(rows * 16, phase: 0.9, scale: 1), dtype, [rows, 16])
      let gradient = try MemorySlice(wave(rows * 32, phase: 1.3, scale: 1), dtype, [rows, 32])
      o = try MemorySlice(zeros: dtype, [rows, 32])
      logSumExp = try MemorySlice(zeros: .f32, [rows, 4])
      dq = try MemorySlice(zeros: dtype, [rows, 32])
      dk = try MemorySlice(zeros: dtype, [rows, 16])
      dv = try MemorySlice(zeros: dtype, [rows, 16])
      kernels.attention(q, k, v, into: o, logSumExp: logSumExp, shape: shape)
      kernels.attentionBackward(
        q, k, v, o, logSumExp: logSumExp, outputGradient: gradient, into: dq, dk, dv, shape: shape)
    }

    var results: [MemorySlice] { [o, logSumExp, dq, dk, dv] }
  }

  @Test(arguments: [(DType.f32, Float(3e-6)), (.bf16, 0.03)], SIMDLevel.allCases)
  func `output and gradients are PyTorch's`(precision: (DType, Float), simd: SIMDLevel) throws {
    let run = try Run(kernels(threads: 2, simd), precision.0)
    var expected = try golden("attention.f32")[...]
    for result in run.results {
      let values = result.values
      let error = relativeError(values, Array(expected.prefix(values.count)))
      #expect(error < precision.1)
      expected = expected.dropFirst(values.count)
    }
    #expect(expected.isEmpty)
  }

  @Test(arguments: [DType.f32, .bf16])
  func `gives the same bits on any number of threads`(dtype: DType) throws {
    let images = try [1, 2, 3, 4].map { try Run(kernels(threads: $0), dtype).results.map(\.image) }
    #expect(images.allSatisfy { $0 == images[0] })
  }

  @Test(arguments: [[150], [1, 149], [100, 1, 1, 48], [149, 1]])
  func `attention through a cache is attention`(pieces: [Int]) throws {
    let kernels = kernels()
    var shape = Self.shape
    shape.batch = 1
    let q = wave(150 * 32, phase: 0.1, scale: 2)
    let k = wave(150 * 16, phase: 0.5, scale: 2)
    let v = wave(150 * 16, phase: 0.9, scale: 1)
    let expected = Array(try golden("attention.f32").prefix(150 * 32))
    let keys = try MemorySlice(zeros: .f32, [160, 16])
    let values = try MemorySlice(zeros: .f32, [160, 16])
    var position = 0
    for count in pieces {
      shape.sequence = count
      let part = position..<position + count
      let o = try MemorySlice(zeros: .f32, [count, 32])
      kernels.cachedAttention(
        try MemorySlice(Array(q[part.lowerBound * 32..<part.upperBound * 32]), .f32, [count, 32]),
        try MemorySlice(Array(k[part.lowerBound * 16..<part.upperBound * 16]), .f32, [count, 16]),
        try MemorySlice(Array(v[part.lowerBound * 16..<part.upperBound * 16]), .f32, [count, 16]),
        keyCache: keys, valueCache: values, position: position, into: o, shape: shape)
      let slice = Array(expected[part.lowerBound * 32..<part.upperBound * 32])
      #expect(relativeError(o.values, slice) < 3e-6)
      position += count
    }
  }
}
