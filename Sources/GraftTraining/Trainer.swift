internal import GraftCore
package import GraftGraph
package import GraftKernels
package import GraftModels

/// One optimizer step, compiled: forward and backward, the gradients' norm, the update.
///
/// Three graphs share the trained tensors: the step adds a batch's gradients to the accumulators; the norm is read
/// before anything is changed, so that a value that isn't finite stops the run with the last good state; the update clips, applies
/// AdamW in place and clears the accumulators.
package final class Trainer {
  /// What one step did.
  package struct Outcome: Sendable, Equatable {
    /// Mean nats per predicted token.
    package let loss: Double
    /// The norm of all gradients together, before clipping.
    package let gradientNorm: Double
    /// Predicted tokens.
    package let targetCount: Int
    /// Tokens read, without padding.
    package let tokenCount: Int
  }

  private enum Input {
    static let lossScale: TensorName = "input.lossScale"
    static let gradientScale: TensorName = "input.gradientScale"
  }

  package let trainable: TrainableTensors
  private let settings: TrainingSettings
  private let step: Executable
  private let losses: Value
  private let norm: Executable
  private let squares: Value
  private let update: Executable
  private var bindings: [TensorName: MemorySlice]
  private let inputs: BatchInputs
  private let lossScale: MemorySlice
  private let gradientScale: MemorySlice
  private let scalars: [(input: AdamW.Input, slice: MemorySlice)]

  /// Bytes of the arenas: activations, their gradients and what the update needs.
  package var arenaByteCount: Int {
    [step, norm, update].reduce(0) { $0 + $1.memoryPlan.arenaByteCount }
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
    let options = CompilerOptions(fusion: settings.fusion)
    inputs = try BatchInputs(
      batchSize: settings.batchSize, length: settings.sequenceLength, packs: settings.data.packs)

    var normGraph = Graph()
    squares = Self.squaredNorm(trainable, in: &normGraph)
    norm = try Executable(normGraph, outputs: [squares], options: options, kernels: kernels)

    let updateGraph = Self.updateGraph(trainable, settings.optimizer)
    update = try Executable(updateGraph, outputs: [], options: options, kernels: kernels)

    let forward = try Self.stepGraph(model, trainable, settings)
    losses = forward.losses
    let others =
      besides + norm.memoryPlan.arenaByteCount + update.memoryPlan.arenaByteCount + inputs.byteCount
    let began = ContinuousClock.now
    (stepCompilation, memory) = try Self.fitted(
      forward.graph, outputs: [losses], trainable, settings, others: others, kernels: kernels)
    planningSeconds = (ContinuousClock.now - began) / .seconds(1)
    step = try Executable(stepCompilation, kernels: kernels)

    lossScale = try MemorySlice(allocating: .f32, [1])
    gradientScale = try MemorySlice(allocating: .f32, [1])
    scalars = try AdamW.Input.allCases.map { ($0, try MemorySlice(allocating: .f32, [1])) }
    bindings.merge(trainable.bindings) { _, new in new }
    bindings.merge(try model.constantInputs(inputs.arrangement)) { _, new in new }
    bindings.merge(inputs.bindings) { _, new in new }
    bindings[Input.lossScale] = lossScale
    bindings[Input.gradientScale] = gradientScale
    for (input, slice) in scalars { bindings[input.name] = slice }
  }

  /// Runs one optimizer step over the batches of an accumulation.
  ///
  /// - Throws: ``TrainingError/Reason/nonFinite(step:quantity:)`` before anything is changed.
  package func run(_ batches: some Collection<Batch>, step number: Int) throws -> Outcome {
    let outcome = try accumulate(batches)
    guard outcome.loss.isFinite else {
      throw TrainingError(.nonFinite(step: number, quantity: "loss"), remedy: Self.remedy)
    }
    guard outcome.gradientNorm.isFinite else {
      throw TrainingError(.nonFinite(step: number, quantity: "gradient"), remedy: Self.remedy)
    }
    try apply(step: number, norm: outcome.gradientNorm)
    return outcome
  }

  /// Adds the gradients of the mean loss over the batches to the accumulators, and changes nothing else.
  ///
  /// The batches are gone through twice, so a lazy collection keeps one at a time in memory.
  package func accumulate(_ batches: some Collection<Batch>) throws -> Outcome {
    var (count, tokens) = (0, 0)
    for batch in batches {
      count += batch.targetCount
      tokens += batch.tokenCount
    }
    lossScale.replaceElements([1 / Float(max(count, 1))])
    var loss = 0.0
    for batch in batches {
      inputs.load(batch)
      try step.run(bindings: bindings)
      loss += step.output(losses).floats().reduce(0.0) { $0 + Double($1) }
    }
    try norm.run(bindings: bindings)
    let length = Double(norm.output(squares).floats()[0]).squareRoot()
    return Outcome(
      loss: loss / Double(max(count, 1)), gradientNorm: length, targetCount: count,
      tokenCount: tokens)
  }

  private static let remedy = "lower --learning-rate, or go on from the last save with --resume"

  private func apply(step number: Int, norm length: Double) throws {
    let clip = settings.clipNorm.map { min(1, $0 / (length + 1e-6)) } ?? 1
    gradientScale.replaceElements([Float(clip)])
    let rate = settings.schedule.rate(at: number - 1)
    for (input, slice) in scalars {
      let value = settings.optimizer.value(of: input, learningRate: rate, step: number)
      slice.replaceElements([value])
    }
    try update.run(bindings: bindings)
  }

  // MARK: - Memory

  /// The step compiled within the settings' budget, and what the run will hold.
  private static func fitted(
    _ graph: Graph, outputs: [Value], _ trainable: TrainableTensors, _ settings: TrainingSettings,
    others: Int, kernels: Kernels
  ) throws -> (Compilation, MemoryForecast) {
    func compiled(_ policy: RecomputePolicy) throws -> Compilation {
      try Compilation(
        graph, outputs: outputs,
        options: CompilerOptions(recompute: policy, fusion: settings.fusion))
    }
    defer { ProcessMemory.releaseFreeMemory() }
    guard let budget = settings.memory else {
      let compilation = try compiled(settings.recompute)
      return (compilation, forecast(compilation, trainable, others: others, kernels: kernels))
    }
    // Everything but the step's arena is the same for every plan, but for what planning leaves behind in the
    // allocator's pages; that is known afterwards.
    var fixed = 0
    do {
      let everything = try compiled(.none)
      let memory = forecast(everything, trainable, others: others, kernels: kernels)
      if memory.peakBytes <= budget { return (everything, memory) }
      fixed = memory.peakBytes - everything.memoryPlan.arenaByteCount
    }
    var least = budget
    do {
      for _ in 0..<4 {
        let compilation = try compiled(.within(byteCount: max(0, budget - fixed)))
        let memory = forecast(compilation, trainable, others: others, kernels: kernels)
        if memory.peakBytes <= budget { return (compilation, memory) }
        fixed = memory.peakBytes - compilation.memoryPlan.arenaByteCount
        least = memory.peakBytes
      }
    } catch let error as GraphError {
      guard case .arenaTooSmall(_, let arena) = error.reason else { throw error }
      least = fixed + arena
    }
    throw TrainingError(
      .budgetTooSmall(byteCount: budget, least: least),
      remedy: "give --memory that much, or lower --batch-size or --sequence-length")
  }

  private static func forecast(
    _ compilation: Compilation, _ trainable: TrainableTensors, others: Int, kernels: Kernels
  ) -> MemoryForecast {
    ProcessMemory.releaseFreeMemory()
    var memory = MemoryForecast()
    memory.baselineBytes = ProcessMemory.anonymousResidentBytes
    memory.stateBytes = trainable.entries.reduce(0) {
      $0 + 3 * MemoryForecast.pages($1.value.byteCount)
    }
    memory.arenaBytes = compilation.memoryPlan.arenaByteCount + others
    memory.scratchBytes = MemoryForecast.scratch(
      compilation, threads: kernels.pool.threadCount, bf16: kernels.hasBF16DotProduct)
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
    let hidden = model.hiddenStates(in: &graph, arrangement)
    let tokens = arrangement.tokenCount
    let targets = graph.input(BatchInputs.targets, .i32, [tokens])
    let losses = graph.crossEntropy(hidden, head: model.head(in: &graph), targets: targets)
    let scale = graph.input(Input.lossScale, .f32, [1])
    let mean = graph.multiply(graph.sumRows(graph.reshape(losses, [tokens, 1])), scale)
    let values = trainable.entries.map { graph.parameter($0.name, .f32, $0.value.shape) }
    let entries = Dictionary(uniqueKeysWithValues: zip(values, trainable.entries))
    try graph.differentiate(mean, withRespectTo: values) { graph, value, gradient in
      guard let entry = entries[value] else { return }
      let sum = graph.parameter(
        TrainableTensors.gradientName(entry.name), .f32, entry.value.shape)
      graph.assign(sum, graph.add(sum, gradient))
    }
    return (graph, losses)
  }

  private static func squaredNorm(
    _ trainable: TrainableTensors, in graph: inout Graph
  ) -> Value {
    var total = graph.constant(0)
    for entry in trainable.entries {
      let gradient = graph.parameter(
        TrainableTensors.gradientName(entry.name), .f32, entry.value.shape)
      let rows = graph.reshape(
        graph.rowSum(graph.square(gradient)), [entry.value.shape.rows, 1])
      total = graph.add(total, graph.sumRows(rows))
    }
    return total
  }

  private static func updateGraph(_ trainable: TrainableTensors, _ optimizer: AdamW) -> Graph {
    var graph = Graph()
    let scale = graph.input(Input.gradientScale, .f32, [1])
    for entry in trainable.entries {
      let shape = entry.value.shape
      let sum = graph.parameter(TrainableTensors.gradientName(entry.name), .f32, shape)
      optimizer.update(
        entry.name, shape: shape, gradient: graph.multiply(sum, scale), in: &graph)
      graph.assign(sum, graph.multiply(sum, graph.constant(0)))
    }
    return graph
  }
}
