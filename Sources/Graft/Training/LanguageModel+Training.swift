internal import GraftKernels

extension LanguageModel {
  /// Trains an adapter, or the model's own tensors, and writes it to the request's output, with its log and the state to
  /// resume from.
  ///
  /// - Parameters:
  ///   - starting: called once everything is compiled, before the first step.
  ///   - step: called after every step.
  ///   - isInterrupted: asked after every step; true saves and stops.
  /// - Returns: where the run ended, and which step is written.
  /// - Throws: ``StorageError``, ``AdapterError``, ``TrainingError``, ``GraphError``.
  @discardableResult
  public func train(
    _ request: TrainingRequest,
    starting: (TrainingSummary) -> Void = { _ in },
    step: @escaping (StepRecord) -> Void = { _ in },
    isInterrupted: @escaping () -> Bool = { false }
  ) throws -> TrainingOutcome {
    let held = try TrainingDirectory.lock(request.output)
    try TrainingDirectory.check(request.output, resumes: request.resumes)
    let run = try prepare(request)
    let best = run.settings.keepsBest ? try BestValues(of: run.trainer.trainable) : nil
    let loop = TrainingRun(
      trainer: run.trainer, settings: run.settings, windows: run.windows,
      validation: run.validation, best: best)
    let fingerprint = try self.fingerprint(of: run, request)
    let saved = request.resumes ? try TrainingDirectory.savedState(in: request.output) : nil
    let position = saved?.position ?? .start
    try saved?.restore(loop.stateTensors(at: position), fingerprint: fingerprint)
    try position.check(against: run.settings, file: request.output)
    try TrainingDirectory.checkRoom(
      request.output, state: loop.stateByteCount, product: run.subject.product.byteCount,
      run.settings)
    let before = try TrainingDirectory.names(in: request.output)
    let end: TrainingPosition
    do {
      let directory = try TrainingDirectory.open(
        request.output, of: try RunFacts(of: run, request, on: self), atStep: position.step, held)
      starting(summary(of: run, from: position))
      let recorder = TrainingRecorder(
        directory, product: run.subject.product, fingerprint: fingerprint, step: step,
        isInterrupted: isInterrupted)
      end = try loop.run(from: position, recorder)
    } catch let error as StorageError {
      // A log whose run can't be resumed is of no use; that of one which became NaN tells why.
      TrainingDirectory.removeUnsaved(request.output, besides: before)
      throw error
    }
    return TrainingOutcome(
      lastStep: end.step, stoppedEarly: end.step < run.settings.steps,
      writtenStep: run.settings.keepsBest ? end.best?.step ?? end.step : end.step,
      notes: run.subject.product.leftBehind.map { ConversionLoss($0) })
  }

  /// Reads the data and compiles the run, so that nothing is written that can't be trained.
  func prepare(_ request: TrainingRequest) throws -> PreparedTraining {
    try request.validate()
    var settings = request.settings
    try checkPositions(settings.sequenceLength, remedy: "give a smaller --sequence-length")
    let text = try tokenize(request.data, settings.data)
    let windows = try TokenWindows(text, settings.filling)
    if let epochs = request.epochs {
      let perStep = settings.batchSize * settings.accumulation
      let windowsWanted = Int((Double(windows.count) * epochs).rounded())
      settings.steps = max(1, (windowsWanted + perStep - 1) / perStep)
      try settings.validate()
    }
    let subject = try TrainingSubject(request, of: self)
    let trainable = try TrainableTensors(
      subject.tensors.map { (name: $0, value: $1) }, optimizer: settings.optimizer,
      loraPlusRatio: settings.loraPlusRatio)
    let validationText =
      try request.validation.isEmpty ? nil : tokenize(request.validation, settings.data)
    let validation = try validationText.map { try evaluation(of: $0, settings, subject) }
    let trainer = try Trainer(
      subject.graph, trainable: trainable, settings: settings, kernels: kernels,
      besides: (validation?.evaluator.arenaByteCount ?? 0)
        + (settings.keepsBest ? BestValues.byteCount(of: trainable) : 0))
    return PreparedTraining(
      settings: settings, text: text, validationText: validationText, windows: windows,
      subject: subject, trainer: trainer, validation: validation)
  }

  private func summary(
    of run: PreparedTraining, from position: TrainingPosition
  ) -> TrainingSummary {
    TrainingSummary(
      isBeyondPositions: run.settings.sequenceLength > configuration.maximumPositions,
      maximumPositions: configuration.maximumPositions, moduleCount: run.subject.moduleCount,
      tensorCount: run.subject.masters.count,
      parameterCount: run.trainer.trainable.parameterCount,
      windows: run.windows, stepCount: run.settings.steps, firstStep: position.step,
      memory: run.trainer.memory,
      arenaBytes: run.trainer.stepCompilation.memoryPlan.arenaByteCount,
      stateBytes: run.trainer.trainable.byteCount,
      mappedBytes: run.subject.graph.weights.mappedByteCount,
      convertedBytes: run.subject.graph.weights.convertedByteCount)
  }

  /// Reads and tokenizes data files.
  func tokenize(
    _ files: [String], _ settings: DataSettings
  ) throws -> TokenizedText {
    var text = TokenizedText()
    let named = try settings.chatTemplate.map(chatTemplate(choice:))
    let reader = ExampleReader(
      tokenizer: tokenizer, endToken: endToken, settings: settings,
      chatTemplate: { try named ?? self.chatTemplate() })
    for file in files {
      try Memory.checkRoom(
        Self.roomOfTokenizer + Self.roomPerByte * InputFile(path: file).byteCount)
      let bytes = try InputFile.contents(of: file, atMost: Self.maximumDataBytes)
      try text.append(bytes, file: file, reader: reader)
    }
    let size = configuration.vocabularySize
    if let token = text.allTokens.first(where: { $0 < 0 || Int($0) >= size }) {
      throw ModelError(
        .tokenOutOfRange(id: Int(token), vocabularySize: size), file: path,
        remedy: "the tokenizer has tokens that the embedding table lacks")
    }
    return text
  }

  /// The largest data file that is read: tokens are kept in memory.
  private static let maximumDataBytes = 4 << 30

  /// What tokenizing takes beside a file, and for each of its bytes: the byte, growing lists of tokens; more than was seen.
  private static let (roomOfTokenizer, roomPerByte) = (64 << 20, 16)

  /// What a run needs to validate on a text.
  private func evaluation(
    of text: TokenizedText, _ settings: TrainingSettings, _ subject: TrainingSubject
  ) throws -> (evaluator: Evaluator, windows: TokenWindows) {
    var filling = settings.filling
    filling.keepsTail = true
    let windows = try TokenWindows(text, filling)
    let evaluator = try Evaluator(
      subject.graph, adapters: subject.tensors, batchSize: settings.batchSize,
      sequence: settings.sequenceLength, packs: settings.data.packs, fusion: settings.fusion,
      kernels: kernels)
    return (evaluator, windows)
  }
}

/// Writes what a run reports.
private final class TrainingRecorder: TrainingObserver {
  private let directory: TrainingDirectory
  private let product: TrainingSubject.Product
  private let fingerprint: [(name: String, value: String)]
  private let step: (StepRecord) -> Void
  private let asksToStop: () -> Bool

  init(
    _ directory: TrainingDirectory, product: TrainingSubject.Product,
    fingerprint: [(name: String, value: String)], step: @escaping (StepRecord) -> Void,
    isInterrupted: @escaping () -> Bool
  ) {
    self.directory = directory
    self.product = product
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
    try directory.save(
      TrainingState(position: position, fingerprint: fingerprint, tensors: tensors))
  }

  func writeResult() throws { try product.write(into: directory.path) }

  func keepSnapshot(step: Int, last count: Int) throws {
    try directory.keep(product, step: step, last: count)
  }
}
