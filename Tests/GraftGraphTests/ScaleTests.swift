import GraftCore
import GraftGraph
import GraftKernels
import Testing

/// Plans of a real model's training step.
struct ScaleTests {
  @Test(arguments: [RecomputePolicy.none, .block, .smallest])
  func `the arena of a 30-block decoder is within 3 % of the least possible`(
    _ recompute: RecomputePolicy
  ) throws {
    let model = try TinyLlama.smolLM2()
    let executable = try Executable(
      model.example.graph, outputs: model.outputs, options: CompilerOptions(recompute: recompute),
      kernels: Kernels(pool: ThreadPool(threadCount: 1)))
    let plan = executable.memoryPlan
    #expect(plan.arenaByteCount * 100 <= plan.lowerBoundByteCount * 103)
    for (index, buffer) in plan.buffers.enumerated() {
      for other in plan.buffers[..<index]
      where other.firstStep <= buffer.lastStep && buffer.firstStep <= other.lastStep {
        #expect(
          other.offset + other.byteCount <= buffer.offset
            || buffer.offset + buffer.byteCount <= other.offset)
      }
    }
  }

  @Test func `a block that runs again holds nothing as wide as its inner layer`() throws {
    let model = try TinyLlama.smolLM2()
    let executable = try ChainTests.compile(
      model.example.graph, model.outputs, CompilerOptions(recompute: .block))
    let shapes = executable.memoryPlan.buffers.map { executable.graph.shape(of: $0.value) }
    #expect(shapes.contains([2048, 576]))
    #expect(!shapes.contains([2048, 1536]))
  }
}
