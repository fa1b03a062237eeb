internal import GraftAdapters
internal import GraftTraining

extension LanguageModel {
  /// What decides the numbers of a run and what it trains, by the names of the options: a resumed run must share it.
  ///
  /// - Throws: ``StorageError`` when the weights or the adapter that is gone on from can't be read.
  func fingerprint(
    of run: PreparedTraining, _ request: TrainingRequest
  ) throws -> [(name: String, value: String)] {
    try weightSettings(request) + Self.loopSettings(run) + dataSettings(run)
      + Self.subjectSettings(run, request) + run.settings.optimizer.settings
      + Self.courseSettings(run.settings)
  }

  /// What the run starts from: the same files may lie elsewhere.
  private func weightSettings(
    _ request: TrainingRequest
  ) throws -> [(name: String, value: String)] {
    var hash = XXHash64()
    hash.combine(counted: configurationFile)
    return [
      ("base configuration", "\(configurationFile.count) bytes \(hash.text)"),
      ("base", try weights.fingerprint),
      ("--compute", precision.rawValue),
      ("--from", try request.initialAdapter.map(Self.fingerprint(ofAdapter:)) ?? "none"),
    ]
  }

  private static func fingerprint(ofAdapter path: String) throws -> String {
    let opened = try OpenedCheckpoint(path: path)
    var hash = XXHash64()
    hash.combine(counted: try opened.requiredFile(LoRAConfiguration.fileName))
    var tensors = try TensorFingerprint()
    for index in opened.reader.tensors.indices {
      try tensors.combine(index, of: opened.reader, named: opened.reader.tensors[index].name)
    }
    return "\(tensors.text), configuration \(hash.text)"
  }

  private static func loopSettings(_ run: PreparedTraining) -> [(name: String, value: String)] {
    let settings = run.settings
    return [
      ("--steps", "\(settings.steps)"), ("--batch-size", "\(settings.batchSize)"),
      ("--sequence-length", "\(settings.sequenceLength)"),
      ("--accumulate", "\(settings.accumulation)"),
      ("--learning-rate", "\(settings.learningRate)"), ("--schedule", settings.decay.rawValue),
      ("--warmup", "\(settings.schedule.warmupSteps)"),
      ("--lora-plus-ratio", "\(settings.loraPlusRatio)"),
      ("--clip-norm", settings.clipNorm.map { "\($0)" } ?? "none"),
      ("--seed", "\(settings.seed)"), ("--no-shuffle", "\(!settings.shuffles)"),
    ]
  }

  private func dataSettings(_ run: PreparedTraining) -> [(name: String, value: String)] {
    let settings = run.settings.data
    return [
      ("--format", settings.format?.rawValue ?? "by content"),
      ("--mask-prompt", "\(settings.masksPrompt)"), ("--pack", "\(settings.packs)"),
      ("--chat-template", settings.chatTemplate ?? "the model's"),
      ("training text", run.text.fingerprint),
      ("validation text", run.validationText?.fingerprint ?? "none"),
    ]
  }

  /// What is trained.
  private static func subjectSettings(
    _ run: PreparedTraining, _ request: TrainingRequest
  ) -> [(name: String, value: String)] {
    var result = [
      ("--full", "\(request.adapter == nil)"), ("--train-modules", list(request.trainedModules)),
      ("--freeze", list(request.frozenModules)),
    ]
    if case .adapter(let adapter) = run.subject.product {
      let configuration = adapter.configuration
      let targets =
        if case .names(let names) = configuration.targetModules {
          list(names)
        } else {
          configuration.targetModules.text
        }
      result += [
        ("--variant", configuration.usesRSLoRA ? "rslora" : "lora"),
        ("--rank", "\(configuration.rank)"), ("--alpha", "\(configuration.alpha)"),
        ("--dropout", "\(configuration.dropout)"),
        ("--target-modules", targets),
        ("--layers", configuration.layers.map { list($0.sorted().map { "\($0)" }) } ?? "all"),
      ]
    }
    return result
  }

  /// Names whose order doesn't count.
  private static func list(_ names: [String]) -> String {
    names.isEmpty ? "none" : Set(names).sorted().joined(separator: ",")
  }

  /// The settings of the learning rate's course and of what ends a run, where they are given.
  private static func courseSettings(
    _ settings: TrainingSettings
  ) -> [(name: String, value: String)] {
    let parameters = settings.scheduleParameters
    let endsByValidation = settings.keepsBest || settings.earlyStop != nil
    let values: [(name: String, value: (any CustomStringConvertible)?)] = [
      ("--cycles", parameters.cycles), ("--power", parameters.power),
      ("--decay-steps", parameters.decaySteps), ("--minimum-rate", parameters.minimumRate),
      ("--early-stop", settings.earlyStop), ("--keep-best", settings.keepsBest),
      ("--evaluate-every", endsByValidation ? settings.evaluateEvery : nil),
    ]
    return values.map { ($0.name, $0.value?.description ?? "default") }
  }
}
