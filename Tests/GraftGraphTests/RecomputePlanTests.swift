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
    let block = try count(RecomputePlan(.block, for: graph))
    // Segments of two: the first block of each runs once more, whole, for the second's input.
    let first = RecomputePlan(
      keeping: { uses.crosses[$0] && graph.nodes[$0].phase % 4 == 3 }, in: graph)
    let kernelsOfBlock = graph.nodes[..<uses.count].count { node in
      node.phase == 3 && node.op.kind == .opaque
    }
    #expect(try count(first) == block + 3 * kernelsOfBlock)
  }
}
