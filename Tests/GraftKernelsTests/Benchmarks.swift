import Glibc
import GraftCore
import GraftKernels
import Testing

/// Figures, printed; run with `GRAFT_BENCHMARK=1` and nothing else on the machine.
@Suite(.enabled(if: getenv("GRAFT_BENCHMARK") != nil), .serialized) struct Benchmarks {
  let kernels = GraftKernelsTests.kernels(threads: 2)

  /// The best of a few runs, in seconds.
  func best(_ times: Int = 7, _ work: () -> Void) -> Double {
    work()
    return (0..<times).map { _ in
      let clock = ContinuousClock()
      let d = clock.measure(work)
      return Double(d.components.seconds) + Double(d.components.attoseconds) * 1e-18
    }.min() ?? .infinity
  }

  func tensor(_ dtype: DType, _ shape: [Int]) throws -> MemorySlice {
    let count = shape.reduce(1, *)
    let slice = try MemorySlice(zeros: dtype, shape)
    let seed = try MemorySlice(wave(4093, phase: 0.2, scale: 0.1), dtype, [4093])
    let size = dtype.layout.bytes
    slice.memory.withMutableBytes { bytes in
      bytes.withUnsafeMutableBytes { raw in
        seed.bytes.withUnsafeBytes { source in
          guard let target = raw.baseAddress, let start = source.baseAddress else { return }
          for first in stride(from: 0, to: count, by: 4093) {
            let n = min(4093, count - first) * size
            target.advanced(by: first * size).copyMemory(
              from: start, byteCount: n)
          }
        }
      }
    }
    return slice
  }

  func report(_ name: String, _ seconds: Double, _ figure: Double, _ unit: String) {
    let ms = (seconds * 1e6).rounded() / 1e3
    print("BENCH \(name): \(ms) ms, \((figure * 10).rounded() / 10) \(unit)")
  }

  @Test func `tile programs`() throws {
    let n = 16 << 20
    let plain = TileProgram.Binding(dtype: .f32, width: .columns)
    func flat(_ name: String, _ bindings: Int, _ bytes: Int, _ i: [TileProgram.Instruction]) throws
    {
      let slices = try (0..<bindings).map { _ in try tensor(.f32, [n]) }
      let program = TileProgram(
        rows: 1, columns: n, bindings: .init(repeating: plain, count: bindings), instructions: i)
      let t = best { kernels.run(program, slices) }
      report(name, t, Double(bytes) * Double(n) / t / 1e9, "GB/s")
    }
    try flat(
      "triad", 3, 12,
      [
        .load(binding: 0), .load(binding: 1), .constant(3), .binary(.multiply, 1, 2),
        .binary(.add, 0, 3), .store(4, binding: 2),
      ])
    try flat(
      "AdamW", 4, 28,
      [
        .load(binding: 0), .load(binding: 1), .load(binding: 2), .load(binding: 3),  // p m v g
        .constant(0.9), .constant(0.1), .constant(0.999), .constant(0.001), .constant(1e-8),
        .constant(1e-3), .constant(1e-5),
        .binary(.multiply, 1, 4), .binary(.multiply, 3, 5), .binary(.add, 11, 12),  // m 13
        .unary(.square, 3), .binary(.multiply, 14, 7), .binary(.multiply, 2, 6),
        .binary(.add, 15, 16),  // v 17
        .unary(.squareRoot, 17), .binary(.add, 18, 8), .binary(.divide, 13, 19),
        .binary(.multiply, 20, 9), .binary(.multiply, 0, 10), .binary(.add, 21, 22),
        .binary(.subtract, 0, 23), .store(13, binding: 1), .store(17, binding: 2),
        .store(24, binding: 0),
      ])
    let c = TileTests.norm(32768, 576)
    let slices = try c.bindings.map {
      try tensor($0.dtype, [$0.rowModulus == 1 ? 1 : 32768, $0.width == .one ? 1 : 576])
    }
    var t = best { kernels.run(c.program, slices) }
    report("add+RMSNorm", t, Double(32768 * 576 * 12) / t / 1e9, "GB/s")
    let bf16 = TileProgram.Binding(dtype: .bf16, width: .columns)
    let swiglu = TileProgram(
      rows: 8192, columns: 1536, bindings: [bf16, bf16, bf16],
      instructions: [
        .load(binding: 0), .load(binding: 1), .unary(.sigmoid, 0), .binary(.multiply, 0, 2),
        .binary(.multiply, 3, 1), .store(4, binding: 2),
      ])
    let gates = try (0..<5).map { _ in try tensor(.bf16, [8192, 1536]) }
    t = best { kernels.run(swiglu, Array(gates[0..<3])) }
    report("SwiGLU forward", t, Double(8192 * 1536 * 6) / t / 1e9, "GB/s")
    let backward = TileProgram(
      rows: 8192, columns: 1536, bindings: [bf16, bf16, bf16, bf16, bf16],
      instructions: [
        .load(binding: 0), .load(binding: 1), .load(binding: 2), .unary(.sigmoid, 0),
        .binary(.multiply, 0, 3), .binary(.multiply, 2, 4), .store(5, binding: 4),
        .binary(.multiply, 2, 1), .constant(1), .binary(.subtract, 8, 3), .binary(.multiply, 4, 9),
        .binary(.add, 3, 10), .binary(.multiply, 7, 11), .store(12, binding: 3),
      ])
    t = best { kernels.run(backward, gates) }
    report("SwiGLU backward", t, Double(8192 * 1536 * 10) / t / 1e9, "GB/s")
    let rotary = TileProgram(
      rows: 2048 * 9 * 4, columns: 64,
      bindings: [
        bf16, .init(dtype: .f32, width: .columns, rowDivisor: 9, rowModulus: 512),
        .init(dtype: .f32, width: .columns, rowDivisor: 9, rowModulus: 512), bf16,
      ],
      instructions: [
        .load(binding: 0), .load(binding: 1), .load(binding: 2), .rotateHalf(width: 64, 0),
        .binary(.multiply, 0, 1), .binary(.multiply, 3, 2), .binary(.add, 4, 5),
        .store(6, binding: 3),
      ])
    let turned = try [
      tensor(.bf16, [2048 * 36, 64]), tensor(.f32, [512, 64]), tensor(.f32, [512, 64]),
      tensor(.bf16, [2048 * 36, 64]),
    ]
    t = best { kernels.run(rotary, turned) }
    report("rotary", t, Double(2048 * 36 * 64 * 4) / t / 1e9, "GB/s")
  }

  @Test func `products`() throws {
    typealias Product = (
      name: String, m: Int, n: Int, k: Int, a: DType, b: DType, c: DType, ta: Bool, tb: Bool
    )
    let products: [Product] = [
      ("bf16 x·Wᵀ", 2048, 576, 576, .bf16, .bf16, .bf16, false, true),
      ("bf16 x·Wᵀ wide", 2048, 1536, 576, .bf16, .bf16, .bf16, false, true),
      ("bf16 dy·W", 2048, 576, 1536, .bf16, .bf16, .bf16, false, false),
      ("bf16 dyᵀ·x", 1536, 576, 2048, .bf16, .bf16, .f32, true, false),
      ("f32 x·Wᵀ", 2048, 1536, 576, .f32, .f32, .f32, false, true),
      ("gemv bf16 x·Wᵀ", 1, 49152, 576, .f32, .bf16, .f32, false, true),
      ("gemv bf16·bf16", 1, 49152, 576, .bf16, .bf16, .f32, false, true),
      ("LoRA x·Aᵀ", 2048, 8, 576, .bf16, .f32, .f32, false, true),
      ("LoRA u·Bᵀ", 2048, 576, 8, .f32, .f32, .bf16, false, true),
      ("LoRA dy·B", 2048, 8, 576, .bf16, .f32, .f32, false, false),
      ("LoRA dB = dyᵀ·u", 576, 8, 2048, .bf16, .f32, .f32, true, false),
      ("LoRA dA = duᵀ·x", 8, 576, 2048, .f32, .bf16, .f32, true, false),
    ]
    for p in products {
      let a = try tensor(p.a, p.ta ? [p.k, p.m] : [p.m, p.k])
      let b = try tensor(p.b, p.tb ? [p.n, p.k] : [p.k, p.n])
      let c = try tensor(p.c, [p.m, p.n])
      let t = best(15) { kernels.gemm(a, transposed: p.ta, b, transposed: p.tb, into: c) }
      report(p.name, t, 2e-9 * Double(p.m * p.n * p.k) / t, "GFLOP/s")
      report(p.name, t, 1e-9 * Double(a.byteCount + b.byteCount + c.byteCount) / t, "GB/s")
    }
  }

  @Test(arguments: [DType.f32, .bf16])
  func `attention`(dtype: DType) throws {
    let shape = AttentionShape(
      batch: 4, sequence: 512, heads: 9, keyValueHeads: 3, headDim: 64, scale: 0.125)
    let wide = try (0..<4).map { _ in try tensor(dtype, [2048, 576]) }
    let narrow = try (0..<4).map { _ in try tensor(dtype, [2048, 192]) }
    let sums = try tensor(.f32, [2048, 9])
    var t = best {
      kernels.attention(
        wide[0], narrow[0], narrow[1], into: wide[1], logSumExp: sums, shape: shape)
    }
    report("attention \(dtype) forward", t, 2e-9 * Double(4 * 9 * 512 * 512 * 64) / t, "GFLOP/s")
    t = best {
      kernels.attentionBackward(
        wide[0], narrow[0], narrow[1], wide[1], logSumExp: sums, outputGradient: wide[2],
        into: wide[3], narrow[2], narrow[3], shape: shape)
    }
    report("attention \(dtype) backward", t, 5e-9 * Double(4 * 9 * 512 * 512 * 64) / t, "GFLOP/s")
  }

  @Test(arguments: [DType.bf16])
  func `cross-entropy`(dtype: DType) throws {
    let x = try tensor(dtype, [2048, 576])
    let head = try tensor(dtype, [49152, 576])
    let dx = try tensor(dtype, [2048, 576])
    let targets = try MemorySlice((0..<2048).map { Float($0 * 17) }, .i32, [2048])
    let losses = try tensor(.f32, [2048])
    let t = best(2) {
      kernels.crossEntropy(x, head: head, targets: targets, losses: losses, xGradient: dx)
    }
    report("cross-entropy \(dtype)", t, 4e-9 * 2048 * 49152 * 576 / t, "GFLOP/s")
  }
}
