import GraftCore
import GraftGraph
import GraftKernels
import Testing

/// Plans of what is kept for the backward pass.
struct RecomputePlanTests {
  /// A plan that keeps each value of a block, its input among them, with a probability that goes from none to all.
  private func randomPlan(_ graph: Graph, seed: Int, of seeds: Int) -> RecomputePlan {
    let odds = Float(seed) / Float(seeds - 1)
    var draws = [Float](repeating: 0, count: graph.nodes.count)
    RandomStream.uniform(seed: UInt64(seed), stream: 0, step: 0, into: &draws)
    return RecomputePlan(keeping: { draws[$0] < odds }, in: graph)
  }

  @Test(arguments: [DType.f32, .bf16], 0..<8)
  func `whichever values are kept, losses and gradients have the same bits`(
    _ dtype: DType, _ seed: Int
  ) throws {
    let model = try TinyLlama(dtype) { $0.layers = 4 }
    let truth = try model.example.run(model.outputs, threads: 1)
    let plan = randomPlan(model.example.graph, seed: seed, of: 8)
    let compilation = try Compilation(
      model.example.graph, outputs: model.outputs, plan: plan, fuses: true)
    for threads in 1...4 {
      let executable = try Executable(
        compilation, kernels: Kernels(pool: ThreadPool(threadCount: threads)))
      executable.poisonsMemory = true
      try executable.run(bindings: model.example.bindings())
      #expect(model.outputs.map { executable.output($0).elements } == truth)
    }
  }

  @Test func `a block that isn't kept runs again from the nearest input that is`() throws {
    let model = try TinyLlama { $0.layers = 6 }
    let graph = model.example.graph
    func count(_ plan: RecomputePlan) throws -> Int {
      try Compilation(graph, outputs: model.outputs, plan: plan, fuses: true).report.kernelCount
    }
    let uses = ForwardUses(graph)
    let block = try count(.borders(in: graph))
    // Segments of two: the first block of each runs once more, whole, for the second's input.
    let first = RecomputePlan(
      keeping: { uses.crosses[$0] && graph.nodes[$0].phase % 4 == 3 }, in: graph)
    let kernelsOfBlock = graph.nodes[..<uses.count].count { node in
      node.phase == 3 && node.op.kind == .opaque
    }
    #expect(try count(first) == block + 3 * kernelsOfBlock)
  }

  // MARK: - Plans for a budget

  @Test func `every budget is kept to, and a larger one never costs more time`() throws {
    let model = try TinyLlama(.bf16) { $0.layers = 8 }
    let graph = model.example.graph
    let truth = try model.example.run(model.outputs, threads: 1)
    var planner = RecomputePlanner(graph, outputs: model.outputs, fuses: true)
    let least = try planner.smallest().memoryPlan.arenaByteCount
    let most = try Compilation(
      graph, outputs: model.outputs, plan: .everything(in: graph), fuses: true
    ).memoryPlan.arenaByteCount
    #expect(least < most / 2)
    var last = Double.infinity
    for index in 0..<20 {
      let budget = least + (most - least) * index / 19
      let compilation = try Compilation(
        graph, outputs: model.outputs,
        options: CompilerOptions(recompute: .within(byteCount: budget)))
      #expect(compilation.memoryPlan.arenaByteCount <= budget)
      let seconds = CostModel.standard.seconds(compilation)
      #expect(seconds <= last, "budget \(index)")
      last = seconds
      let executable = try Executable(
        compilation, kernels: Kernels(pool: ThreadPool(threadCount: 1 + index % 4)))
      executable.poisonsMemory = true
      try executable.run(bindings: model.example.bindings())
      #expect(model.outputs.map { executable.output($0).elements } == truth)
    }
  }

  @Test func `a budget below the least possible is refused with the size that would do`() throws {
    let model = try TinyLlama(.bf16) { $0.layers = 5 }
    func compile(_ byteCount: Int) throws -> Compilation {
      try Compilation(
        model.example.graph, outputs: model.outputs,
        options: CompilerOptions(recompute: .within(byteCount: byteCount)))
    }
    let error = #expect(throws: GraphError.self) { try compile(1000) }
    guard case .arenaTooSmall(byteCount: 1000, let least)? = error?.reason else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(error?.diagnosis.kind == .memory)
    #expect(try compile(least).memoryPlan.arenaByteCount == least)
    #expect(throws: GraphError(.arenaTooSmall(byteCount: least - 1, least: least))) {
      try compile(least - 1)
    }
  }

  @Test func `a block's last product is never computed again for its own gradients`() throws {
    let model = try TinyLlama { $0.layers = 3 }
    let graph = model.example.graph
    func products(_ plan: RecomputePlan) throws -> Int {
      let compilation = try Compilation(graph, outputs: model.outputs, plan: plan, fuses: true)
      return compilation.graph.nodes.count { node in
        guard case .matmul = node.op,
          case .parameter(let name) = compilation.graph.nodes[node.inputs[1].node].op
        else { return false }
        return name.text.hasSuffix(".down") && node.results[0].shape.columns == model.hidden
      }
    }
    #expect(try products(.everything(in: graph)) == 3)
    #expect(try products(.borders(in: graph)) == 3)
  }

  @Test func `the least memory of a 30-block decoder is a tenth of keeping everything`() throws {
    let model = try TinyLlama.smolLM2()
    let graph = model.example.graph
    let everything = try Compilation(
      graph, outputs: model.outputs, plan: .everything(in: graph), fuses: true)
    var planner = RecomputePlanner(graph, outputs: model.outputs, fuses: true)
    let least = try planner.smallest()
    #expect(least.memoryPlan.arenaByteCount * 10 <= everything.memoryPlan.arenaByteCount)
  }

  @Test func `a pointwise result takes the place of an input that nobody reads again`() throws {
    var example = Example()
    let x = example.parameter("x", [64, 32])
    let w = example.parameter("w", [32, 32])
    var g = example.graph
    let y = g.matmul(x, transposed: false, w, transposed: false, dtype: .f32)
    let z = g.matmul(g.tanh(y), transposed: false, w, transposed: false, dtype: .f32)
    example.graph = g
    let executable = try Executable(
      g, outputs: [z], options: CompilerOptions(),
      kernels: Kernels(pool: ThreadPool(threadCount: 2)))
    #expect(executable.memoryPlan.arenaByteCount <= 2 * 64 * 32 * 4)
    #expect(try distance(example.run([z])[0], example.interpret([z])[0]) < 1e-5)
  }
}
