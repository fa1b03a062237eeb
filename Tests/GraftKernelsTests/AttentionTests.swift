import GraftCore
import GraftKernels
import Testing

@Suite struct AttentionTests {
  static let shape = AttentionShape(
    batch: 2, sequence: 150, heads: 4, keyValueHeads: 2, headDim: 8, scale: 0.6)
  static let rows = 300

  struct Mask: Sendable {
    var isCausal = true
    var window: Int?
    /// A number a token.
    var segments: [Int]?

    /// Those of `attention_masks.f32`, in its order.
    static let golden = [
      Mask(window: 40), Mask(segments: packed), Mask(window: 40, segments: packed),
      Mask(isCausal: false, segments: packed), Mask(isCausal: false, window: 40),
    ]

    /// Segments of 40, 1, 67 and 42 tokens, and of 130 and 20; their numbers leave some out.
    static let packed = [(40, -4), (1, -3), (67, 5), (42, 6), (130, 2), (20, 9)].flatMap {
      [Int](repeating: $1, count: $0)
    }
  }

  struct Run {
    let q, k, v, o, logSumExp, dq, dk, dv: MemorySlice

    init(_ kernels: Kernels, _ dtype: DType, _ mask: Mask = Mask()) throws {
      let rows = AttentionTests.rows
      var shape = AttentionTests.shape
      shape.isCausal = mask.isCausal
      shape.window = mask.window
      let segments = try mask.segments.map {
        try MemorySlice($0.map { Float($0) }, .i32, [rows])
      }
      q = try MemorySlice(wave(rows * 32, phase: 0.1, scale: 2), dtype, [rows, 32])
      k = try MemorySlice(wave(rows * 16, phase: 0.5, scale: 2), dtype, [rows, 16])
      v = try MemorySlice(wave(rows * 16, phase: 0.9, scale: 1), dtype, [rows, 16])
      let gradient = try MemorySlice(wave(rows * 32, phase: 1.3, scale: 1), dtype, [rows, 32])
      o = try MemorySlice(zeros: dtype, [rows, 32])
      logSumExp = try MemorySlice(zeros: .f32, [rows, 4])
      dq = try MemorySlice(zeros: dtype, [rows, 32])
      dk = try MemorySlice(zeros: dtype, [rows, 16])
      dv = try MemorySlice(zeros: dtype, [rows, 16])
      kernels.attention(
        q, k, v, segments: segments, into: o, logSumExp: logSumExp, shape: shape)
      kernels.attentionBackward(
        q, k, v, o, logSumExp: logSumExp, outputGradient: gradient, segments: segments,
        into: dq, dk, dv, shape: shape)
    }

    var results: [MemorySlice] { [o, logSumExp, dq, dk, dv] }
  }

  @Test(arguments: [(DType.f32, Float(5e-6)), (.bf16, 0.03)], SIMDLevel.allCases)
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

  @Test(arguments: [(DType.f32, Float(5e-6)), (.bf16, 0.03)], SIMDLevel.allCases)
  func `output and gradients under every mask are PyTorch's`(
    precision: (DType, Float), simd: SIMDLevel
  ) throws {
    var expected = try golden("attention_masks.f32")[...]
    for mask in Mask.golden {
      let run = try Run(kernels(threads: 2, simd), precision.0, mask)
      for result in [run.o, run.dq, run.dk, run.dv] {
        let columns = result.shape.columns
        let all = result.values
        let values = stride(from: 0, to: Self.rows, by: 3).flatMap {
          all[$0 * columns..<($0 + 1) * columns]
        }
        let error = relativeError(values, Array(expected.prefix(values.count)))
        #expect(error < precision.1, "\(mask)")
        expected = expected.dropFirst(values.count)
      }
    }
    #expect(expected.isEmpty)
  }

  @Test(arguments: [DType.f32, .bf16], [Mask()] + Mask.golden)
  func `gives the same bits on any number of threads`(dtype: DType, mask: Mask) throws {
    let images = try [1, 2, 3, 4].map {
      try Run(kernels(threads: $0), dtype, mask).results.map(\.image)
    }
    #expect(images.allSatisfy { $0 == images[0] })
  }

  @Test(arguments: [DType.f32, .bf16])
  func `packed segments give what each would give alone`(dtype: DType) throws {
    let kernels = kernels()
    var (shape, alone) = (Self.shape, Self.shape)
    (shape.batch, shape.sequence, alone.batch) = (1, 700, 1)
    func inputs(_ rows: Range<Int>) throws -> [MemorySlice] {
      try [(32, 0.1), (16, 0.5), (16, 0.9)].map { columns, phase in
        let all = wave(700 * columns, phase: phase, scale: 2)
        return try MemorySlice(
          Array(all[rows.lowerBound * columns..<rows.upperBound * columns]), dtype,
          [rows.count, columns])
      }
    }
    let ends = [90, 91, 611, 700]
    let numbers = (0..<700).map { token in Float(ends.count { $0 <= token }) }
    let whole = try MemorySlice(zeros: dtype, [700, 32])
    let x = try inputs(0..<700)
    kernels.attention(
      x[0], x[1], x[2], segments: try MemorySlice(numbers, .i32, [700]), into: whole,
      logSumExp: nil, shape: shape)
    for (first, end) in zip([0] + ends, ends) {
      let y = try inputs(first..<end)
      alone.sequence = end - first
      let o = try MemorySlice(zeros: dtype, [end - first, 32])
      kernels.attention(y[0], y[1], y[2], into: o, logSumExp: nil, shape: alone)
      let error = relativeError(o.values, Array(whole.values[first * 32..<end * 32]))
      #expect(error < (dtype == .f32 ? 3e-6 : 0.02))
    }
  }

  @Test(arguments: [[150], [1, 149], [100, 1, 1, 48], [149, 1]], [nil, 40])
  func `attention through a cache is attention`(pieces: [Int], window: Int?) throws {
    let kernels = kernels()
    var shape = Self.shape
    shape.batch = 1
    shape.window = window
    let q = wave(150 * 32, phase: 0.1, scale: 2)
    let k = wave(150 * 16, phase: 0.5, scale: 2)
    let v = wave(150 * 16, phase: 0.9, scale: 1)
    let whole = try Run(kernels, .f32, Mask(window: window)).o
    let expected = Array(whole.values.prefix(150 * 32))
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

  @Test(arguments: [DType.f32, .bf16], [1, 3])
  func `a few tokens over a long cache have the same bits on any threads and instructions`(
    dtype: DType, count: Int
  ) throws {
    // More keys than a task reads; 72 columns are whole vectors and a rest.
    let shape = AttentionShape(
      batch: 1, sequence: count, heads: 4, keyValueHeads: 2, headDim: 72, scale: 0.1, window: 700)
    let position = 900
    var alone = shape
    alone.sequence = position + count
    let rows = alone.sequence
    func input(_ columns: Int, _ phase: Double, _ rows: Range<Int>) throws -> MemorySlice {
      let all = wave(rows.upperBound * columns, phase: phase, scale: 1)
      return try MemorySlice(
        Array(all[(rows.lowerBound * columns)...]), dtype, [rows.count, columns])
    }
    func run(_ kernels: Kernels) throws -> MemorySlice {
      let (keys, values) = (try input(144, 0.5, 0..<rows), try input(144, 0.9, 0..<rows))
      let o = try MemorySlice(zeros: dtype, [count, 288])
      kernels.cachedAttention(
        try input(288, 0.1, position..<rows), try input(144, 0.5, position..<rows),
        try input(144, 0.9, position..<rows), keyCache: keys, valueCache: values,
        position: position, into: o, shape: shape)
      return o
    }
    let whole = try MemorySlice(zeros: dtype, [rows, 288])
    kernels().attention(
      try input(288, 0.1, 0..<rows), try input(144, 0.5, 0..<rows), try input(144, 0.9, 0..<rows),
      into: whole, logSumExp: nil, shape: alone)
    let o = try run(kernels())
    let error = relativeError(o.values, Array(whole.values.suffix(count * 288)))
    #expect(error < (dtype == .f32 ? 1e-5 : 0.02))
    for (threads, simd) in [(1, SIMDLevel.best), (3, .best), (4, .avx2), (1, .scalar)] {
      #expect(try run(kernels(threads: threads, simd)).image == o.image)
    }
  }
}
