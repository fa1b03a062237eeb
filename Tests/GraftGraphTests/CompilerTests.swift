import GraftCore
import GraftGraph
import GraftKernels
import Testing

/// Compiled graphs against the interpreter and against themselves under every option.
struct CompilerTests {
  @Test(arguments: [(DType.f32, 2e-5), (.bf16, 4e-2)])
  func `a decoder's losses and gradients are the interpreter's`(
    _ dtype: DType, _ tolerance: Double
  ) throws {
    let model = try TinyLlama(dtype)
    let truth = try model.example.interpret(model.outputs)
    let found = try model.example.run(model.outputs)
    for (x, y) in zip(found, truth) { #expect(distance(x, y) < tolerance) }
  }

  @Test(arguments: [DType.f32, .bf16], [RecomputePolicy.none, .block, .smallest])
  func `fusion, recomputing and the number of threads change no bit`(
    _ dtype: DType, _ recompute: RecomputePolicy
  ) throws {
    let model = try TinyLlama(dtype)
    let plain = try model.example.run(
      model.outputs, CompilerOptions(recompute: .none, fusion: false), threads: 1)
    for fusion in [true, false] {
      for threads in [1, 2, 3, 4] {
        let found = try model.example.run(
          model.outputs, CompilerOptions(recompute: recompute, fusion: fusion), threads: threads)
        #expect(found == plain, "fusion \(fusion), \(threads) threads")
      }
    }
  }

  @Test func `gradients are those of finite differences through the whole decoder`() throws {
    let model = try TinyLlama()
    let gradients = try model.example.interpret(model.gradients, rounding: .none)
    for (name, gradient) in zip(model.adapters, gradients) {
      let some = Array(stride(from: 0, to: gradient.count, by: 7))
      let truth = try model.example.finiteDifferences(of: model.loss, name, at: some)
      #expect(distance(some.map { gradient[$0] }, truth) < 1e-6, "\(name)")
    }
  }

  @Test func `ten operations that nobody foresaw run as one pass over memory`() throws {
    var example = Example()
    let shape: Shape = [64, 96]
    let x = example.parameter("x", shape)
    let y = example.parameter("y", shape)
    let bias = example.parameter("bias", [96])
    func build(_ g: inout Graph) -> Value {
      let peak = g.rowMax(g.multiply(x, g.tanh(y)))
      let e = g.exp(g.subtract(g.maximum(x, g.cosine(y)), peak))
      let share = g.divide(e, g.rowSum(e))
      return g.add(g.multiply(g.squareRoot(g.absolute(share)), g.erf(y)), bias)
    }
    let result = build(&example.graph)
    let executable = try Executable(
      example.graph, outputs: [result], options: CompilerOptions(),
      kernels: Kernels(pool: ThreadPool(threadCount: 2)))
    #expect(executable.schedule.steps.count == 1)
    #expect(executable.report.bytesMoved == 3 * 64 * 96 * 4 + 96 * 4)
    let fused = try example.run([result])
    #expect(try fused == example.run([result], CompilerOptions(fusion: false)))
    #expect(try distance(fused[0], example.interpret([result])[0]) < 1e-5)
  }

  @Test func `an optimizer's update is one pass in place`() throws {
    var example = Example()
    let shape: Shape = [8, 48]
    let (w, m, v) = (
      example.parameter("w", shape), example.parameter("m", shape, scale: 0.1),
      example.parameter("v", shape, scale: 0.01, offset: 0.02)
    )
    let gradient = example.parameter("g", shape)
    let rate = example.values("rate", [0.01], [1])
    func build(_ g: inout Graph) {
      let newM = g.add(
        g.multiply(m, g.constant(0.9)), g.multiply(gradient, g.constant(0.1)))
      let newV = g.add(
        g.multiply(v, g.constant(0.99)), g.multiply(g.square(gradient), g.constant(0.01)))
      let step = g.divide(newM, g.add(g.squareRoot(newV), g.constant(1e-8)))
      g.assign(m, newM)
      g.assign(v, newV)
      g.assign(w, g.subtract(w, g.multiply(step, rate)))
    }
    build(&example.graph)
    var truth = Interpreter(example.graph, memory: example.elements)
    _ = try truth.run([])
    for fusion in [true, false] {
      let executable = try Executable(
        example.graph, outputs: [], options: CompilerOptions(fusion: fusion),
        kernels: Kernels(pool: ThreadPool(threadCount: 2)))
      if fusion {
        #expect(executable.schedule.steps.count == 1)
        #expect(executable.memoryPlan.arenaByteCount == 0)
      }
      let bindings = try example.bindings()
      try executable.run(bindings: bindings)
      for name in ["w", "m", "v"] as [TensorName] {
        let found = try #require(bindings[name]).elements
        #expect(distance(found, truth.memory[name] ?? []) < 1e-6, "\(name), fusion \(fusion)")
      }
    }
  }

  @Test func `assignments see the values from before the run`() throws {
    var example = Example()
    let x = example.parameter("x", [4, 8])
    let y = example.parameter("y", [4, 8])
    example.graph.assign(x, example.graph.negate(y))
    example.graph.assign(y, example.graph.add(x, example.graph.constant(1)))
    let sum = example.graph.multiply(x, y)
    var truth = Interpreter(example.graph, memory: example.elements)
    let product = try truth.run([sum])
    for fusion in [true, false] {
      let executable = try Executable(
        example.graph, outputs: [sum], options: CompilerOptions(fusion: fusion),
        kernels: Kernels(pool: ThreadPool(threadCount: 1)))
      let bindings = try example.bindings()
      try executable.run(bindings: bindings)
      #expect(distance(executable.output(sum).elements, product[0]) < 1e-6)
      #expect(distance(try #require(bindings["x"]).elements, truth.memory["x"] ?? []) < 1e-6)
      #expect(distance(try #require(bindings["y"]).elements, truth.memory["y"] ?? []) < 1e-6)
    }
  }

  @Test func `memory that isn't bound or doesn't fit is an error with a name`() throws {
    let model = try TinyLlama()
    let executable = try Executable(
      model.example.graph, outputs: [model.losses], options: CompilerOptions(),
      kernels: Kernels(pool: ThreadPool(threadCount: 1)))
    var bindings = try model.example.bindings()
    bindings["ids"] = nil
    #expect(throws: GraphError(.unbound("ids"))) { try executable.run(bindings: bindings) }
    bindings["ids"] = try MemorySlice(allocating: .i32, [3])
    #expect(
      throws: GraphError(.bindingMismatch("ids", expected: "I32 [12]", found: "I32 [3]"))
    ) { try executable.run(bindings: bindings) }
  }

  @Test func `a parameter without a path to the loss is named`() throws {
    var example = Example()
    let x = example.parameter("x", [4, 8])
    let aside = example.parameter("aside", [4, 8])
    let loss = example.loss(x)
    #expect(throws: GraphError(.noGradientPath("aside"))) {
      try example.graph.gradients(of: loss, withRespectTo: [aside])
    }
  }
}
