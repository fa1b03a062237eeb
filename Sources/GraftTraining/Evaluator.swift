package import GraftCore
internal import GraftGraph
package import GraftKernels
package import GraftModels

/// The mean loss of a model over windows of text, without gradients.
package final class Evaluator {
  private let batchSize: Int
  private let executable: Executable
  private let losses: Value
  private let inputs: BatchInputs
  private var bindings: [TensorName: MemorySlice]

  /// Compiles the forward pass; `adapters` are the f32 tensors that the model's adapter parameters bind to.
  package init(
    _ model: DecoderGraph, adapters: [TensorName: MemorySlice], batchSize: Int, sequence: Int,
    packs: Bool = false, fusion: Bool = true, kernels: Kernels
  ) throws {
    self.batchSize = batchSize
    inputs = try BatchInputs(batchSize: batchSize, length: sequence, packs: packs)
    var graph = Graph()
    let hidden = model.hiddenStates(in: &graph, inputs.arrangement)
    let targetsInput = graph.input(
      BatchInputs.targets, .i32, [inputs.arrangement.tokenCount])
    losses = graph.crossEntropy(hidden, head: model.head(in: &graph), targets: targetsInput)
    executable = try Executable(
      graph, outputs: [losses], options: CompilerOptions(recompute: .none, fusion: fusion),
      kernels: kernels)
    bindings = try model.weights.tensors
    bindings.merge(adapters) { _, new in new }
    bindings.merge(try model.constantInputs(inputs.arrangement)) { _, new in new }
    bindings.merge(inputs.bindings) { _, new in new }
  }

  /// Bytes of the arena.
  package var arenaByteCount: Int { executable.memoryPlan.arenaByteCount }

  /// The mean nats per predicted token over all windows.
  package func evaluate(
    _ windows: TokenWindows, progress: Progress = .none
  ) throws -> (loss: Double, tokenCount: Int) {
    var sum = 0.0
    var count = 0
    for start in stride(from: 0, to: windows.count, by: batchSize) {
      let chosen = start..<min(start + batchSize, windows.count)
      let batch = Batch(windows, chosen, size: batchSize)
      inputs.load(batch)
      try executable.run(bindings: bindings)
      sum += executable.output(losses).floats().reduce(0.0) { $0 + Double($1) }
      count += batch.targetCount
      progress.advance(batch.targetCount)
    }
    return (sum / Double(max(count, 1)), count)
  }
}
