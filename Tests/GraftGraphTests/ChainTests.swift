import GraftCore
import GraftGraph
import GraftKernels
import Testing

/// Products and tile programs that run together by tiles of rows.
struct ChainTests {
  /// A decoder with 1050 tokens: eight tiles of rows and a part of one.
  static func decoder(_ dtype: DType) throws -> TinyLlama {
    try TinyLlama(dtype) { model in (model.batch, model.sequence) = (5, 210) }
  }

  static func compile(
    _ graph: Graph, _ outputs: [Value], _ options: CompilerOptions = CompilerOptions()
  ) throws -> Executable {
    try Executable(
      graph, outputs: outputs, options: options, kernels: Kernels(pool: ThreadPool(threadCount: 1)))
  }

  @Test(arguments: [DType.f32, .bf16], [RecomputePolicy.none, .block])
  func `chains change no bit, whatever is recomputed and however many threads there are`(
    _ dtype: DType, _ recompute: RecomputePolicy
  ) throws {
    let model = try Self.decoder(dtype)
    let options = CompilerOptions(recompute: recompute)
    #expect(try Self.compile(model.example.graph, model.outputs, options).report.chainCount >= 6)
    let plain = try model.example.run(
      model.outputs, CompilerOptions(recompute: .none, fusion: false), threads: 2)
    for threads in [1, 2, 3] {
      let found = try model.example.run(model.outputs, options, threads: threads)
      #expect(found == plain, "\(threads) threads")
    }
  }

  @Test(arguments: [(DType.f32, 2e-5), (.bf16, 4e-2)])
  func `losses and gradients of chains are the interpreter's`(
    _ dtype: DType, _ tolerance: Double
  ) throws {
    let model = try Self.decoder(dtype)
    let truth = try model.example.interpret(model.outputs)
    let found = try model.example.run(model.outputs)
    for (x, y) in zip(found, truth) { #expect(distance(x, y) < tolerance) }
  }

  @Test func `ten operations around two products run as one pass over memory`() throws {
    var example = Example()
    let (rows, inner, outer) = (1100, 24, 40)
    let x = example.parameter("x", [rows, inner])
    let first = example.parameter("first", [outer, inner], scale: 0.3)
    let second = example.parameter("second", [outer, inner], scale: 0.3)
    func build(_ g: inout Graph) -> Value {
      let centred = g.subtract(x, g.multiply(g.rowSum(x), g.constant(1 / Float(inner))))
      let wide = g.matmul(centred, transposed: false, first, transposed: true, dtype: .f32)
      let peak = g.rowMax(g.absolute(wide))
      let bent = g.multiply(g.erf(wide), g.cosine(g.divide(wide, g.add(peak, g.constant(1)))))
      let narrow = g.matmul(bent, transposed: false, second, transposed: false, dtype: .f32)
      // Groups of eight columns are rows of their own.
      let parts = g.reshape(narrow, [rows, 3, 8])
      let scaled = g.multiply(parts, g.reciprocal(g.add(g.rowMax(parts), g.constant(9))))
      return g.add(g.reshape(scaled, [rows, inner]), x)
    }
    let result = build(&example.graph)
    let executable = try Self.compile(example.graph, [result])
    #expect(executable.schedule.steps.count == 1)
    #expect(executable.report.chainCount == 1 && executable.report.kernelCount == 2)
    #expect(executable.report.bytesMoved == 2 * rows * inner * 4)
    #expect(executable.memoryPlan.buffers.map(\.value) == [result])
    let fused = try example.run([result])
    #expect(try fused == example.run([result], CompilerOptions(fusion: false)))
    #expect(try distance(fused[0], example.interpret([result])[0]) < 1e-5)
  }

  @Test func `what needs other rows stays out of a chain`() throws {
    var example = Example()
    let (rows, width) = (1030, 16)
    let x = example.parameter("x", [rows, width])
    let w = example.parameter("w", [width, width], scale: 0.3)
    func build(_ g: inout Graph) -> [Value] {
      let z = g.tanh(g.matmul(g.square(x), transposed: false, w, transposed: false, dtype: .f32))
      // The product of all rows with each other, a sum over rows that comes back to each, and another order of rows.
      let gram = g.matmul(z, transposed: true, g.exp(z), transposed: false, dtype: .f32)
      let mixed = g.matmul(z, transposed: false, gram, transposed: false, dtype: .f32)
      let scores = g.rowMax(g.matmul(z, transposed: false, z, transposed: true, dtype: .f32))
      let mean = g.multiply(g.sumRows(z), g.constant(1 / Float(rows)))
      let turned = g.reshape(z, [2, rows / 2, width])
      let half = g.reshape(g.sumRows(g.reshape(turned, [2, rows / 2 * width])), [rows / 2, width])
      let folded = g.reshape(g.multiply(turned, half), [rows, width])
      return [g.add(g.multiply(mixed, scores), g.subtract(folded, mean)), gram]
    }
    let results = build(&example.graph)
    #expect(try Self.compile(example.graph, results).report.chainCount > 0)
    let fused = try example.run(results)
    #expect(try fused == example.run(results, CompilerOptions(fusion: false), threads: 1))
    for (found, truth) in zip(fused, try example.interpret(results)) {
      #expect(distance(found, truth) < 1e-4)
    }
  }

  @Test(arguments: [1030, 2048, 4200, 6500])
  func `sums over the rows are made inside of a chain, with the same bits`(_ rows: Int) throws {
    var example = Example()
    let x = example.parameter("x", [rows, 16])
    let gain = example.parameter("gain", [16], scale: 0.3, offset: 1)
    let a = example.parameter("a", [4, 16], scale: 0.3)
    let b = example.parameter("b", [24, 4], scale: 0.3)
    let bias = example.parameter("bias", [24])
    let wide = example.parameter("wide", [40, 24], scale: 0.3)
    func build(_ g: inout Graph) -> Value {
      let scale = g.reciprocalSquareRoot(g.add(g.rowSum(g.square(x)), g.constant(0.1)))
      let normed = g.multiply(g.multiply(x, scale), gain)
      let narrow = g.matmul(normed, transposed: false, a, transposed: true, dtype: .f32)
      let y = g.add(g.matmul(narrow, transposed: false, b, transposed: true, dtype: .f32), bias)
      return g.sigmoid(g.matmul(g.tanh(y), transposed: false, wide, transposed: true, dtype: .f32))
    }
    let trained = [gain, a, b, bias]
    let loss = example.loss(build(&example.graph))
    let gradients = try example.graph.gradients(of: loss, withRespectTo: trained)
    let executable = try Self.compile(example.graph, gradients)
    let made = executable.schedule.steps.flatMap { step in
      if case .chain(let chain) = step { chain.writes } else { [Value]() }
    }
    #expect(
      Set(made.map(executable.graph.shape)).isSuperset(of: trained.map(example.graph.shape)))
    let plain = try example.run(gradients, CompilerOptions(fusion: false), threads: 1)
    for threads in [1, 2, 3] {
      #expect(try example.run(gradients, threads: threads) == plain, "\(threads) threads")
    }
    for (found, truth) in zip(plain, try example.interpret(gradients)) {
      #expect(distance(found, truth) < 1e-4)
    }
  }

  @Test func `gradients on the way into their accumulators don't end a chain`() throws {
    var example = Example()
    let x = example.parameter("x", [1100, 16])
    var (h, trained, sums) = (x, [Value](), [Value: Value]())
    for layer in 0..<3 {
      let a = example.parameter(TensorName("a.\(layer)"), [4, 16], scale: 0.3)
      let b = example.parameter(TensorName("b.\(layer)"), [16, 4], scale: 0.3)
      for (name, value) in [("a", a), ("b", b)] {
        trained.append(value)
        sums[value] = example.parameter(
          TensorName("sum.\(name).\(layer)"), example.graph.shape(of: value))
      }
      let narrow = example.graph.matmul(h, transposed: false, a, transposed: true, dtype: .f32)
      let wide = example.graph.matmul(narrow, transposed: false, b, transposed: true, dtype: .f32)
      h = example.graph.tanh(example.graph.add(h, wide))
    }
    let loss = example.loss(h)
    try example.graph.differentiate(
      loss, into: trained.compactMap { value in sums[value].map { (parameter: value, sum: $0) } })
    func accumulated(fusion: Bool, threads: Int) throws -> (sums: [[Double]], chains: Int) {
      let executable = try Executable(
        example.graph, outputs: [], options: CompilerOptions(fusion: fusion),
        kernels: Kernels(pool: ThreadPool(threadCount: threads)))
      let bindings = try example.bindings()
      try executable.run(bindings: bindings)
      let names = bindings.keys.filter { $0.text.hasPrefix("sum") }.sorted()
      return (try names.map { try #require(bindings[$0]).elements }, executable.report.chainCount)
    }
    let plain = try accumulated(fusion: false, threads: 1)
    #expect(plain.sums.count == 6)
    for threads in [1, 2, 3] {
      let fused = try accumulated(fusion: true, threads: threads)
      #expect(fused.sums == plain.sums, "\(threads) threads")
      // Forward and backward pass are one.
      #expect(fused.chains == 1)
    }
  }

  @Test func `few rows aren't made a chain`() throws {
    let model = try TinyLlama()
    #expect(try Self.compile(model.example.graph, model.outputs).report.chainCount == 0)
  }

  @Test(arguments: [RecomputePolicy.none, .block])
  func `a real model's step moves at most a third of the bytes outside of its products`(
    _ recompute: RecomputePolicy
  ) throws {
    let model = try TinyLlama.smolLM2()
    let graph = model.example.graph
    let fused = try Self.compile(graph, model.outputs, CompilerOptions(recompute: recompute))
    let plain = try Self.compile(
      graph, model.outputs, CompilerOptions(recompute: recompute, fusion: false))
    #expect(fused.report.bytesMoved * 3 <= plain.report.bytesMoved)
    // Two chains a block each way: on each side of the attention.
    #expect(fused.report.chainCount >= 2 * 30)
  }
}
