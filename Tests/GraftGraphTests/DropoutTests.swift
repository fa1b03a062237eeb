import GraftCore
import GraftGraph
import GraftKernels
import Testing

/// Dropout in graphs: one mask for a value and its gradient, made again wherever it is needed.
struct DropoutTests {
  private static let mask = DropoutMask(probability: 0.4, seed: 9, stream: 1 << 50 + 3)

  /// x and y, [rows, columns], of which x is dropped.
  private func example(
    _ shape: Shape, _ dtype: DType = .f32
  ) -> (example: Example, x: Value, dropped: Value) {
    var example = Example()
    let x = example.parameter("x", shape, dtype)
    let batch = example.number("batch", 5)
    let dropped = example.graph.dropout(x, Self.mask, batch: batch)
    return (example, x, dropped)
  }

  private static let shapes: [Shape] = [
    [6, 8], [3, 70], [2, 5, 7], [40, 1], [1, 9000], [1300, 24],
  ]

  @Test(arguments: shapes, [DType.f32, .bf16])
  func `what is kept is scaled up, with the interpreter's bits`(
    _ shape: Shape, _ dtype: DType
  ) throws {
    let (example, x, kept) = example(shape, dtype)
    let truth = try example.interpret([x, kept])
    let scale = Double(Float(1 / (1 - 0.4)))
    for (value, result) in zip(truth[0], truth[1]) {
      #expect(result == 0 || result == Double(Float(value * scale)))
    }
    let dropped = truth[1].count { $0 == 0 }
    #expect((5..<shape.elementCount - 5).contains(dropped))
    for fusion in [true, false] {
      for threads in 1...4 {
        let found = try example.run([kept], CompilerOptions(fusion: fusion), threads: threads)
        #expect(found == [truth[1]])
      }
    }
    for level in SIMDLevel.allCases {
      let executable = try Executable(
        example.graph, outputs: [kept], options: CompilerOptions(),
        kernels: Kernels(pool: ThreadPool(threadCount: 2), simd: level))
      try executable.run(bindings: example.bindings())
      #expect(executable.output(kept).elements == truth[1])
    }
  }

  @Test func `the gradient goes through the mask of the value`() throws {
    var (example, x, dropped) = example([6, 8])
    let result = example.graph.multiply(dropped, example.graph.square(x))
    let loss = example.loss(result)
    let gradient = try example.graph.gradients(of: loss, withRespectTo: [x])
    let found = try example.interpret(gradient, rounding: .none)[0]
    let truth = try example.finiteDifferences(of: loss, "x", at: Array(0..<48))
    #expect(distance(found, truth) < 1e-6)
    #expect(try distance(example.run(gradient)[0], found) < 2e-5)
  }

  @Test func `each batch has a mask of its own`() throws {
    let (example, _, dropped) = example([40, 50])
    let executable = try Executable(
      example.graph, outputs: [dropped], options: CompilerOptions(),
      kernels: Kernels(pool: ThreadPool(threadCount: 2)))
    var bindings = try example.bindings()
    func run(_ batch: Int64) throws -> [Double] {
      let number = try MemorySlice(allocating: .i64, [1])
      number.replaceElements([batch])
      bindings["batch"] = number
      try executable.run(bindings: bindings)
      return executable.output(dropped).elements
    }
    let first = try run(1)
    #expect(try run(2) != first)
    #expect(try run(1 + 1 << 32) != first)
    #expect(try run(1) == first)
  }

  // MARK: - In a decoder

  private func decoder(_ dtype: DType, tokens: (Int, Int) = (2, 6)) throws -> TinyLlama {
    try TinyLlama(dtype) { model in
      (model.batch, model.sequence) = tokens
      model.dropout = 0.3
    }
  }

  @Test(arguments: [(DType.f32, 2e-5), (.bf16, 4e-2)])
  func `a decoder's losses and gradients are the interpreter's`(
    _ dtype: DType, _ tolerance: Double
  ) throws {
    let model = try decoder(dtype)
    let truth = try model.example.interpret(model.outputs)
    let found = try model.example.run(model.outputs)
    for (x, y) in zip(found, truth) { #expect(distance(x, y) < tolerance) }
    let plain = try TinyLlama(dtype)
    #expect(try plain.example.run(plain.outputs) != found)
  }

  @Test func `a decoder's gradients are those of finite differences`() throws {
    let model = try decoder(.f32)
    let gradients = try model.example.interpret(model.gradients, rounding: .none)
    for (name, gradient) in zip(model.adapters, gradients) {
      let some = Array(stride(from: 0, to: gradient.count, by: 5))
      let truth = try model.example.finiteDifferences(of: model.loss, name, at: some)
      #expect(distance(some.map { gradient[$0] }, truth) < 1e-6, "\(name)")
    }
  }

  @Test(
    arguments: [DType.f32, .bf16], [RecomputePolicy.none, .block, .smallest])
  func `chains, recomputing and the number of threads change no bit`(
    _ dtype: DType, _ recompute: RecomputePolicy
  ) throws {
    // 12 tokens run op by op or fused, 1050 in chains.
    for tokens in [(2, 6), (5, 210)] {
      let model = try decoder(dtype, tokens: tokens)
      let plain = try model.example.run(
        model.outputs, CompilerOptions(recompute: .none, fusion: false), threads: 1)
      for threads in 1...4 {
        for fusion in [true, false] {
          let options = CompilerOptions(recompute: recompute, fusion: fusion)
          let found = try model.example.run(model.outputs, options, threads: threads)
          #expect(found == plain, "\(tokens), \(threads) threads, fusion \(fusion)")
        }
      }
    }
  }

  @Test(arguments: [RecomputePolicy.none, .block, .smallest])
  func `masks of a real model's step are nowhere in memory`(_ recompute: RecomputePolicy) throws {
    func compiled(_ dropout: Double) throws -> Compilation {
      let model = try TinyLlama.smolLM2(dropout: dropout)
      return try Compilation(
        model.example.graph, outputs: model.outputs, options: CompilerOptions(recompute: recompute))
    }
    let (plain, dropping) = (try compiled(0), try compiled(0.05))
    let names = dropping.memoryPlan.buffers.map { dropping.graph.nodes[$0.value.node].op.name }
    #expect(!names.contains("dropoutMask"))
    let (arena, plainArena) = (dropping.memoryPlan.arenaByteCount, plain.memoryPlan.arenaByteCount)
    if recompute == .smallest {
      // The two plans let other values go.
      #expect(Double(arena) <= 1.01 * Double(plainArena))
    } else {
      #expect(arena == plainArena)
      #expect(dropping.report.chainCount == plain.report.chainCount)
    }
  }
}
