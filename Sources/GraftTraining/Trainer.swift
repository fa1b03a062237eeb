internal import GraftCore
package import GraftGraph
package import GraftKernels
package import GraftModels

/// One optimizer step, compiled: forward and backward, the gradients' norm, the update.
///
/// The forward and backward pass adds a batch's gradients to the accumulators; an ``OptimizerStep`` reads their norm before anything
/// is changed, then clips, changes the tensors in place and clears the accumulators.
package final class Trainer {
  /// What one step did.
  package struct Outcome: Sendable, Equatable {
    /// Mean nats per predicted token.
    package let loss: Double
    /// The norm of all gradients together, before clipping.
    package let gradientNorm: Double
    /// Predicted tokens.
    package let targetCount: Int
  }

  private enum Input {
    static let lossScale: TensorName = "input.lossScale"
  }

  package let trainable: TrainableTensors
  private let settings: TrainingSettings
  private let step: Executable
  private let losses: Value
  private let optimizerStep: OptimizerStep
  private var bindings: [TensorName: MemorySlice]
  private let inputs: BatchInputs
  private let lossScale: MemorySlice
  private let batchNumber: MemorySlice

  /// Bytes of the arenas: activations, their gradients and what the update needs.
  package var arenaByteCount: Int {
    step.memoryPlan.arenaByteCount + optimizerStep.arenaByteCount
  }

  /// What the run will hold in memory beside mapped weights.
  package let memory: MemoryForecast

  /// Seconds that choosing what to keep and compiling the step took.
  package let planningSeconds: Double

  /// The compiled forward and backward pass, for reports.
  package let stepCompilation: Compilation

  /// Compiles a run for a model whose adapters are `trainable`; `besides` are bytes that the rest of the run will write to.
  ///
  /// - Throws: ``GraphError`` when a trainable tensor has no path to the loss, ``StorageError`` without memory,
  ///   ``TrainingError/Reason/budgetTooSmall(byteCount:least:)``.
  package init(
    _ model: DecoderGraph, trainable: TrainableTensors, settings: TrainingSettings,
    kernels: Kernels, besides: Int = 0
  ) throws {
    self.trainable = trainable
    self.settings = settings
    // Converted weights count as what the process holds already.
    bindings = try model.weights.tensors
    inputs = try BatchInputs(
      batchSize: settings.batchSize, length: settings.sequenceLength, packs: settings.data.packs)

    optimizerStep = try OptimizerStep(trainable, fusion: settings.fusion, kernels: kernels)

    let forward = try Self.stepGraph(model, trainable, settings)
    losses = forward.losses
    let others = besides + optimizerStep.arenaByteCount + inputs.byteCount
    let began = ContinuousClock.now
    (stepCompilation, memory) = try Self.fitted(
      forward.graph, outputs: [losses], trainable, settings, others: others, kernels: kernels)
    planningSeconds = (ContinuousClock.now - began) / .seconds(1)
    step = try Executable(stepCompilation, kernels: kernels)

    lossScale = try MemorySlice(allocating: .f32, [1])
    batchNumber = try MemorySlice(allocating: .i64, [1])
    bindings.merge(trainable.bindings) { _, new in new }
    bindings.merge(try model.constantInputs(inputs.arrangement)) { _, new in new }
    bindings.merge(inputs.bindings) { _, new in new }
    bindings[Input.lossScale] = lossScale
    bindings[DecoderGraph.Input.batch] = batchNumber
  }

  /// Runs one optimizer step over the batches of an accumulation.
  ///
  /// - Throws: ``TrainingError/Reason/nonFinite(step:quantity:)`` before anything is changed.
  package func run(_ batches: some Collection<Batch>, step number: Int) throws -> Outcome {
    let count = batches.reduce(0) { $0 + $1.targetCount }
    let first = (number - 1) * settings.accumulation
    let loss = try add(batches, startingAt: first, targetCount: count)
    return try update(step: number, lossSum: loss, targetCount: count)
  }

  /// Adds the gradients of the mean loss over the batches to the accumulators, and changes nothing else.
  ///
  /// - Parameter first: the number of the first batch.
  package func accumulate(
    _ batches: some Collection<Batch>, startingAt first: Int = 0
  ) throws -> Outcome {
    let count = batches.reduce(0) { $0 + $1.targetCount }
    let loss = try add(batches, startingAt: first, targetCount: count)
    return try outcome(lossSum: loss, targetCount: count)
  }

  private func add(
    _ batches: some Collection<Batch>, startingAt first: Int, targetCount: Int
  ) throws -> Double {
    try batches.enumerated().reduce(0) { sum, batch in
      sum + (try add(batch.element, number: first + batch.offset, targetCount: targetCount))
    }
  }

  /// Adds the gradients of one batch's share in a step's mean loss to the accumulators; gives the batch's summed loss in nats.
  ///
  /// - Parameters:
  ///   - number: the batches that came before in the run; decides what is dropped.
  ///   - targetCount: the predicted tokens of all batches of the step.
  package func add(_ batch: Batch, number: Int, targetCount: Int) throws -> Double {
    lossScale.replaceElements([1 / Float(max(targetCount, 1))])
    batchNumber.replaceElements([Int64(number)])
    inputs.load(batch)
    try step.run(bindings: bindings)
    return step.output(losses).floats().reduce(0.0) { $0 + Double($1) }
  }

  /// Ends a step whose gradients are in the accumulators: clips them, changes the trained tensors, clears the accumulators.
  ///
  /// - Throws: ``TrainingError/Reason/nonFinite(step:quantity:)`` before anything is changed.
  package func update(step number: Int, lossSum: Double, targetCount: Int) throws -> Outcome {
    let outcome = try outcome(lossSum: lossSum, targetCount: targetCount)
    func check(_ isFinite: Bool, _ quantity: @autoclosure () -> String) throws(TrainingError) {
      guard !isFinite else { return }
      throw TrainingError(
        .nonFinite(step: number, quantity: quantity()),
        remedy: "the state before this step is saved; lower --learning-rate, or look at the data")
    }
    try check(outcome.loss.isFinite, "loss")
    try check(outcome.gradientNorm.isFinite, nonFiniteGradient())
    let clip = settings.clipNorm.map { min(1, $0 / (outcome.gradientNorm + 1e-6)) } ?? 1
    let rate = settings.schedule.rate(at: number - 1)
    try check(optimizerStep.isFinite(step: number, learningRate: rate), "size of the update")
    try optimizerStep.apply(step: number, learningRate: rate, scale: clip)
    return outcome
  }

  private func outcome(lossSum: Double, targetCount: Int) throws -> Outcome {
    Outcome(
      loss: lossSum / Double(max(targetCount, 1)), gradientNorm: try optimizerStep.gradientNorm(),
      targetCount: targetCount)
  }

  /// Names the first gradient that isn't finite; their norm alone may overflow.
  private func nonFiniteGradient() -> String {
    let first = trainable.gradients.first { !$0.value.floats().allSatisfy(\.isFinite) }
    return first.map { "gradient of \($0.name)" } ?? "norm of the gradients"
  }

  // MARK: - Memory

  /// The step compiled within the settings' budget, and what the run will hold.
  private static func fitted(
    _ graph: Graph, outputs: [Value], _ trainable: TrainableTensors, _ settings: TrainingSettings,
    others: Int, kernels: Kernels
  ) throws -> (Compilation, MemoryForecast) {
    func forecast(_ compilation: Compilation) -> MemoryForecast {
      Self.forecast(
        arena: compilation.memoryPlan.arenaByteCount, need: compilation.need(kernels), trainable,
        others: others, kernels: kernels)
    }
    defer { ProcessMemory.releaseFreeMemory() }
    guard let budget = settings.memory else {
      let compilation = try Compilation(
        graph, outputs: outputs,
        options: CompilerOptions(recompute: settings.recompute, fusion: settings.fusion))
      return (compilation, forecast(compilation))
    }
    let besides = Self.forecast(
      arena: 0, need: graph.need(kernels), trainable, others: others, kernels: kernels)
    var planner = RecomputePlanner(
      graph, outputs: outputs, fuses: settings.fusion, others: besides.peakBytes)
    if let everything = try planner.withoutRecompute(within: budget) {
      let memory = forecast(everything)
      if memory.peakBytes <= budget { return (everything, memory) }
    }
    // What planning leaves behind in the allocator's pages is known afterwards, and measured anew in the next round.
    var least = budget
    do {
      for _ in 0..<4 {
        let compilation = try planner.quickest(within: budget) {
          forecast($0).peakBytes - $0.memoryPlan.arenaByteCount
        }
        let memory = forecast(compilation)
        if memory.peakBytes <= budget { return (compilation, memory) }
        least = memory.peakBytes
      }
    } catch {
      guard case .arenaTooSmall(_, let arena) = error.reason else { throw error }
      least = planner.others + arena
    }
    throw TrainingError(
      .budgetTooSmall(byteCount: budget, least: least),
      remedy: "give --memory that much, or lower --batch-size or --sequence-length")
  }

  /// What a run holds in memory whose step has an arena of so many bytes and takes some scratch.
  private static func forecast(
    arena: Int, need: ScratchNeed, _ trainable: TrainableTensors, others: Int, kernels: Kernels
  ) -> MemoryForecast {
    ProcessMemory.releaseFreeMemory()
    var memory = MemoryForecast()
    memory.baselineBytes = ProcessMemory.anonymousResidentBytes
    memory.stateBytes = trainable.entries.reduce(0) { sum, entry in
      entry.state.reduce(sum + Memory.pages(entry.gradient.byteCount)) {
        $0 + Memory.pages($1.value.byteCount)
      }
    }
    memory.arenaBytes = arena + others
    var all = kernels.reserved
    all.include(need)
    memory.scratchBytes =
      MemoryForecast.scratch(all, threads: kernels.pool.threadCount)
      + MemoryForecast.saving(memory.stateBytes)
    return memory
  }

  // MARK: - Graphs

  private static func arrangement(_ settings: TrainingSettings) -> Arrangement {
    BatchInputs.arrangement(
      batchSize: settings.batchSize, length: settings.sequenceLength, packs: settings.data.packs)
  }

  private static func stepGraph(
    _ model: DecoderGraph, _ trainable: TrainableTensors, _ settings: TrainingSettings
  ) throws -> (graph: Graph, losses: Value) {
    var graph = Graph()
    let arrangement = arrangement(settings)
    let hidden = model.hiddenStates(in: &graph, arrangement, dropoutSeed: settings.seed)
    let tokens = arrangement.tokenCount
    let targets = graph.input(BatchInputs.targets, .i32, [tokens])
    let losses = graph.crossEntropy(hidden, head: model.head(in: &graph), targets: targets)
    let scale = graph.input(Input.lossScale, .f32, [1])
    let mean = graph.multiply(graph.sumRows(graph.reshape(losses, [tokens, 1])), scale)
    let values = trainable.entries.map { graph.parameter($0.name, .f32, $0.value.shape) }
    let sums = trainable.entries.map {
      graph.parameter(TrainableTensors.gradientName($0.name), .f32, $0.value.shape)
    }
    try graph.differentiate(mean, into: zip(values, sums).map { (parameter: $0, sum: $1) })
    return (graph, losses)
  }
}
