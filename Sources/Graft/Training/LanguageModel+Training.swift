internal import GraftKernels

extension LanguageModel {
  /// Trains an adapter and writes it to the request's output, with its log and the state to resume from.
  ///
  /// - Parameters:
  ///   - starting: called once everything is compiled, before the first step.
  ///   - step: called after every step.
  ///   - isInterrupted: asked after every step; true saves and stops.
  /// - Throws: ``StorageError``, ``AdapterError``, ``TrainingError``, ``GraphError``.
  public func train(
    _ request: TrainingRequest,
    starting: (TrainingSummary) -> Void = { _ in },
    step: @escaping (StepRecord) -> Void = { _ in },
    isInterrupted: @escaping () -> Bool = { false }
  ) throws {
    var settings = request.settings
    try settings.validate()
    let text = try tokenize(request.data, form: request.form, masksPrompt: request.masksPrompt)
    let windows = try TokenWindows(text, length: settings.sequenceLength)
    if let epochs = request.epochs {
      let perStep = settings.batchSize * settings.accumulation
      let windowsWanted = Int((Double(windows.count) * epochs).rounded())
      settings.steps = max(1, (windowsWanted + perStep - 1) / perStep)
    }
    let adapter = try startingAdapter(request, seed: settings.seed)
    let attached = AttachedAdapters(adapter)
    let trainable = try TrainableTensors(attached.tensors.map { (name: $0, value: $1) })
    let fingerprint = self.fingerprint(request, settings, text, adapter)

    let directory: TrainingDirectory
    var position = TrainingPosition.start
    if request.resumes {
      let saved: TrainingState?
      (directory, saved) = try TrainingDirectory.resume(request.output)
      try saved?.restore(trainable, fingerprint: fingerprint)
      try saved?.position.check(against: settings, file: request.output)
      position = saved?.position ?? .start
    } else {
      directory = try TrainingDirectory.create(request.output)
    }

    let model = graph(attached)
    let trainer = try Trainer(model, trainable: trainable, settings: settings, kernels: kernels)
    let validation = try validation(request, settings, model, attached)
    starting(
      TrainingSummary(
        moduleCount: adapter.modules.count, parameterCount: trainable.parameterCount,
        windowCount: windows.count, stepCount: settings.steps, firstStep: position.step,
        arenaBytes: trainer.arenaByteCount, stateBytes: trainable.byteCount,
        mappedBytes: weights.mappedByteCount, convertedBytes: weights.convertedByteCount))
    let recorder = TrainingRecorder(
      directory, adapter: adapter, fingerprint: fingerprint, step: step,
      isInterrupted: isInterrupted)
    let run = TrainingRun(
      trainer: trainer, settings: settings, windows: windows, validation: validation)
    try run.run(from: position, recorder)
  }

  /// Reads and tokenizes data files.
  func tokenize(
    _ files: [String], form: TokenizedText.Form?, masksPrompt: Bool
  ) throws -> TokenizedText {
    var text = TokenizedText()
    for file in files {
      let bytes = try InputFile.contents(of: file, atMost: Self.maximumDataBytes)
      try text.append(
        bytes, file: file, form: form, tokenizer: tokenizer, endToken: endToken,
        masksPrompt: masksPrompt)
    }
    let size = configuration.vocabularySize
    if let token = text.tokens.first(where: { $0 < 0 || Int($0) >= size }) {
      throw ModelError(
        .tokenOutOfRange(id: Int(token), vocabularySize: size), file: path,
        remedy: "the tokenizer has tokens that the embedding table lacks")
    }
    return text
  }

  /// The largest data file that is read: tokens are kept in memory.
  private static let maximumDataBytes = 4 << 30

  private func startingAdapter(_ request: TrainingRequest, seed: UInt64) throws -> Adapter {
    if let path = request.initialAdapter {
      let adapter = try OpenedCheckpoint(path: path).adapter()
      _ = try AttachedAdapters([adapter], base: linearModules)
      return adapter
    }
    try checkFrozen(request.adapter)
    var configuration = try request.adapter.resolvingAllLinear(in: linearModules)
    configuration.baseModelName = path
    let targets = try configuration.targets(in: linearModules)
    return try Adapter.initialized(configuration, for: targets) { stream, values in
      RandomStream.uniform(seed: seed, stream: stream, step: 0, into: &values)
    }
  }

  /// Checks that every name of modules to freeze finds a module, adaptable or not.
  ///
  /// - Throws: ``AdapterError/Reason/targetNotFound(target:nearest:)``.
  private func checkFrozen(_ adapter: LoRAConfiguration) throws(AdapterError) {
    guard case .names(let names)? = adapter.excludedModules else { return }
    let modules = configuration.tensors.map { tensor in
      let path = tensor.name.text
      return path.lastIndex(of: ".").map { String(path[..<$0]) } ?? path
    }
    for name in names where !modules.contains(where: { $0 == name || $0.hasSuffix("." + name) }) {
      throw AdapterError(
        .targetNotFound(target: name, nearest: nearestNames(to: name, among: modules)))
    }
  }

  private func validation(
    _ request: TrainingRequest, _ settings: TrainingSettings, _ model: DecoderGraph,
    _ attached: AttachedAdapters
  ) throws -> (evaluator: Evaluator, windows: TokenWindows)? {
    guard !request.validation.isEmpty else { return nil }
    let text = try tokenize(
      request.validation, form: request.form, masksPrompt: request.masksPrompt)
    let windows = try TokenWindows(text, length: settings.sequenceLength)
    let evaluator = try Evaluator(
      model, adapters: attached.tensors, batchSize: settings.batchSize,
      sequence: settings.sequenceLength, fusion: settings.fusion, kernels: kernels)
    return (evaluator, windows)
  }

  /// The settings that decide the numbers of a run: a resumed run must share them.
  private func fingerprint(
    _ request: TrainingRequest, _ settings: TrainingSettings, _ text: TokenizedText,
    _ adapter: Adapter
  ) -> [(name: String, value: String)] {
    [
      ("--steps", "\(settings.steps)"), ("--batch-size", "\(settings.batchSize)"),
      ("--sequence-length", "\(settings.sequenceLength)"),
      ("--accumulate", "\(settings.accumulation)"),
      ("--learning-rate", "\(settings.learningRate)"), ("--schedule", settings.decay.rawValue),
      ("--warmup", "\(settings.warmupSteps)"),
      ("--weight-decay", "\(settings.optimizer.weightDecay)"),
      ("--clip-norm", settings.clipNorm.map { "\($0)" } ?? "none"),
      ("--seed", "\(settings.seed)"), ("--no-shuffle", "\(!settings.shuffles)"),
      ("--compute", precision.rawValue), ("training text", text.fingerprint),
      ("--variant", adapter.configuration.usesRSLoRA ? "rslora" : "lora"),
      ("--rank", "\(adapter.configuration.rank)"), ("--alpha", "\(adapter.configuration.alpha)"),
    ]
  }
}

/// Writes what a run reports.
private final class TrainingRecorder: TrainingObserver {
  private let directory: TrainingDirectory
  private let adapter: Adapter
  private let fingerprint: [(name: String, value: String)]
  private let step: (StepRecord) -> Void
  private let asksToStop: () -> Bool

  init(
    _ directory: TrainingDirectory, adapter: Adapter,
    fingerprint: [(name: String, value: String)], step: @escaping (StepRecord) -> Void,
    isInterrupted: @escaping () -> Bool
  ) {
    self.directory = directory
    self.adapter = adapter
    self.fingerprint = fingerprint
    self.step = step
    asksToStop = isInterrupted
  }

  var isInterrupted: Bool { asksToStop() }

  func finished(_ record: StepRecord) throws {
    try directory.append(record)
    step(record)
  }

  func save(
    _ tensors: [(name: TensorName, value: MemorySlice)], at position: TrainingPosition
  ) throws {
    let state = TrainingState(position: position, fingerprint: fingerprint, tensors: tensors)
    try directory.save(state, adapter: adapter)
  }
}
