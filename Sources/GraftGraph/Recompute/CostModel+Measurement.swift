package import GraftKernels
internal import GraftCore

extension CostModel {
  /// Measures this machine's rates, with all threads, in about a tenth of a second.
  ///
  /// - Throws: ``StorageError`` without memory for the operands.
  package static func measured(_ kernels: Kernels) throws -> CostModel {
    var model = standard
    func product(_ dtype: DType) throws -> Double {
      let (rows, inner, columns) = (1024, 768, 1024)
      let a = try filled(dtype, [rows, inner], kernels)
      let b = try filled(dtype, [columns, inner], kernels)
      let c = try MemorySlice(allocating: dtype, [rows, columns])
      let seconds = quickest {
        kernels.gemm(a, transposed: false, b, transposed: true, into: c)
      }
      return 2 * Double(rows * inner * columns) / seconds
    }
    model.f32Rate = try product(.f32)
    model.bf16Rate = kernels.hasBF16DotProduct ? try product(.bf16) : model.f32Rate

    let dtype: DType = kernels.hasBF16DotProduct ? .bf16 : .f32
    let shape = AttentionShape(
      batch: 1, sequence: 512, heads: 8, keyValueHeads: 8, headDim: 64, scale: 0.125)
    let q = try filled(dtype, [512, 512], kernels)
    let o = try MemorySlice(allocating: dtype, [512, 512])
    let attention = quickest { kernels.attention(q, q, q, into: o, logSumExp: nil, shape: shape) }
    model.attentionRate = 2 * Double(8 * 64) * 512 * 512 / attention

    let wide = try filled(.f32, [16 << 20], kernels)
    let narrow = try MemorySlice(allocating: .bf16, [16 << 20])
    let conversion = quickest { kernels.convert(wide, to: narrow) }
    model.bandwidth = Double(wide.byteCount + narrow.byteCount) / conversion
    return model
  }

  /// The quickest of a few runs; the first, which readies kernels, isn't counted.
  private static func quickest(_ body: () -> Void) -> Double {
    body()
    let clock = ContinuousClock()
    return (0..<3).map { _ in clock.measure(body) / .nanoseconds(1) / 1e9 }.min() ?? 0
  }

  private static func filled(
    _ dtype: DType, _ shape: Shape, _ kernels: Kernels
  ) throws -> MemorySlice {
    let ones = try MemorySlice(
      copying: [Float](repeating: 0.5, count: shape.elementCount), shape)
    guard dtype != .f32 else { return ones }
    let result = try MemorySlice(allocating: dtype, shape)
    kernels.convert(ones, to: result)
    return result
  }
}
