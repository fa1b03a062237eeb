/// Everything that training is told.
public struct TrainingRequest: Sendable {
  /// How the base is adapted; nil trains the base's own tensors and writes a whole model.
  public var adapter: LoRAConfiguration?
  /// Names of modules or tensors of the base that are trained whole: an adapter saves them along (PEFT's `modules_to_save`);
  /// without an adapter, none means all.
  public var trainedModules: [String] = []
  /// Names of modules or tensors that stay as they are, whatever else selects them.
  public var frozenModules: [String] = []
  /// Text or JSON-lines files to train on.
  public var data: [String]
  /// The directory that the adapter or the model is written to.
  public var output: String
  /// Steps, batches, learning rate and the rest.
  public var settings: TrainingSettings
  /// Passes over the data instead of a number of steps.
  public var epochs: Double?
  /// Files whose loss is reported during and after the run.
  public var validation: [String]
  /// Whether to go on from the last save in `output`.
  public var resumes: Bool
  /// An adapter to go on from, instead of a fresh one.
  public var initialAdapter: String?

  /// Describes a run.
  public init(
    adapter: LoRAConfiguration?, data: [String], output: String,
    settings: TrainingSettings = TrainingSettings(), epochs: Double? = nil,
    validation: [String] = [], resumes: Bool = false, initialAdapter: String? = nil
  ) {
    self.adapter = adapter
    self.data = data
    self.output = output
    self.settings = settings
    self.epochs = epochs
    self.validation = validation
    self.resumes = resumes
    self.initialAdapter = initialAdapter
  }
}

extension TrainingRequest {
  /// Checks the settings and the adapter's dropout, and that they have the validation text which some of them need.
  ///
  /// - Throws: ``TrainingError`` that names the first setting out of range.
  public func validate() throws(TrainingError) {
    var settings = settings
    // The number of steps is known once the data is.
    if epochs != nil { settings.steps = TrainingSettings.maximumCount }
    try settings.validate()
    if let dropout = adapter?.dropout, !(0..<1).contains(dropout) {
      throw TrainingError(
        .invalidSetting(name: "dropout", expected: "0 or more, less than 1", found: "\(dropout)"))
    }
    for (name, isGiven) in [
      ("keep-best", settings.keepsBest), ("early-stop", settings.earlyStop != nil),
      ("evaluate-every", settings.evaluateEvery != nil),
    ] where isGiven && validation.isEmpty {
      throw TrainingError(
        .invalidSetting(name: name, expected: "a validation text", found: "none"),
        remedy: "name one with --validation, and how often it is read with --evaluate-every")
    }
  }
}

/// How a run ended.
public struct TrainingOutcome: Sendable, Equatable {
  /// The last step that was taken.
  public let lastStep: Int
  /// Whether the validation loss ended the run before its last step.
  public let stoppedEarly: Bool
  /// The step after which the written adapter or model stood: with keep-best the one of the lowest validation loss.
  public let writtenStep: Int
  /// What of the base's directory stays behind where a whole model is written, as of a conversion.
  public let notes: [ConversionLoss]
}

/// What is known before the first step.
public struct TrainingSummary: Sendable {
  /// Whether windows are longer than the sequences that the model was made for.
  public let isBeyondPositions: Bool
  /// The longest sequence that the model was made for.
  public let maximumPositions: Int
  /// Modules with an adapter.
  public let moduleCount: Int
  /// Tensors of the base that are trained whole.
  public let tensorCount: Int
  /// Trained values.
  public let parameterCount: Int
  /// The data.
  public let windows: TokenWindows
  /// Steps of the run.
  public let stepCount: Int
  /// The step that a resumed run goes on from; 0 for a fresh one.
  public let firstStep: Int
  /// What will be in memory beside mapped weights.
  public let memory: MemoryForecast
  /// Bytes of activations and their gradients: the step's arena.
  public let arenaBytes: Int
  /// Bytes of trained tensors, gradients and optimizer state.
  public let stateBytes: Int
  /// Bytes of weights mapped from files.
  public let mappedBytes: Int
  /// Bytes of weights converted into memory.
  public let convertedBytes: Int
}
