public import GraftGraph

/// What a run does, apart from the model, the adapter and the data.
public struct TrainingSettings: Sendable, Equatable {
  /// Optimizer steps.
  public var steps: Int
  /// Windows in one run of the graph.
  public var batchSize: Int
  /// Tokens in a window.
  public var sequenceLength: Int
  /// Batches whose gradients are summed before a step.
  public var accumulation: Int
  /// The peak learning rate.
  public var learningRate: Double
  /// The course of the learning rate.
  public var decay: LearningRateSchedule.Decay
  /// What some courses are told besides.
  public var scheduleParameters = LearningRateSchedule.Parameters()
  /// Steps of linear warm-up.
  public var warmupSteps: Int
  /// The part of all steps that is warm-up, rounded up, instead of a number of steps.
  public var warmupFraction: Double?
  /// The optimizer.
  public var optimizer: Optimizer
  /// The learning rate of the adapters' B by that of A (LoRA+, arXiv 2402.12354).
  public var loraPlusRatio: Double
  /// The largest norm of all gradients together; nil leaves them alone.
  public var clipNorm: Double?
  /// Decides the adapter's initialization, the order of the data and what is dropped.
  public var seed: UInt64
  /// How the data files are read.
  public var data: DataSettings
  /// Whether windows are shuffled anew each epoch.
  public var shuffles: Bool
  /// What is recomputed in the backward pass instead of being kept.
  public var recompute: RecomputePolicy
  /// The most bytes that everything but mapped weights may take; nil sets no limit.
  ///
  /// With a limit, what is recomputed is the least that makes the run fit, whatever ``recompute`` says.
  public var memory: Int?
  /// Whether pointwise chains run fused.
  public var fusion: Bool
  /// Steps between validations; nil validates at the end only.
  public var evaluateEvery: Int?
  /// Steps between saves; nil saves at the end only.
  public var saveEvery: Int?
  /// Whether what is written at the end is what had the lowest validation loss.
  public var keepsBest = false
  /// Validations without a lower loss after which the run ends.
  public var earlyStop: Int?
  /// The saves of which the adapter, or the model, is kept beside the last one.
  public var keepLast: Int?

  /// Describes a run; the defaults suit a small adapter on a CPU.
  public init(
    steps: Int = 100, batchSize: Int = 4, sequenceLength: Int = 512, accumulation: Int = 1,
    learningRate: Double = 1e-3, decay: LearningRateSchedule.Decay = .cosine, warmupSteps: Int = 0,
    optimizer: Optimizer = .adamW(AdamW()), loraPlusRatio: Double = 1, clipNorm: Double? = 1,
    seed: UInt64 = 0, data: DataSettings = DataSettings(), shuffles: Bool = true,
    recompute: RecomputePolicy = .none, memory: Int? = nil, fusion: Bool = true,
    evaluateEvery: Int? = nil,
    saveEvery: Int? = nil
  ) {
    self.steps = steps
    self.batchSize = batchSize
    self.sequenceLength = sequenceLength
    self.accumulation = accumulation
    self.learningRate = learningRate
    self.decay = decay
    self.warmupSteps = warmupSteps
    self.optimizer = optimizer
    self.loraPlusRatio = loraPlusRatio
    self.clipNorm = clipNorm
    self.seed = seed
    self.data = data
    self.shuffles = shuffles
    self.recompute = recompute
    self.memory = memory
    self.fusion = fusion
    self.evaluateEvery = evaluateEvery
    self.saveEvery = saveEvery
  }

  /// The learning rate over the run.
  public var schedule: LearningRateSchedule {
    let warmup = warmupFraction.map { Int((Double(steps) * $0).rounded(.up)) } ?? warmupSteps
    return LearningRateSchedule(
      peak: learningRate, decay: decay, warmupSteps: warmup, totalSteps: steps,
      parameters: scheduleParameters)
  }

  /// How windows are filled.
  public var filling: TokenWindows.Filling {
    TokenWindows.Filling(
      length: sequenceLength, packs: data.packs, seed: shuffles ? seed : nil)
  }

  /// The most steps that a run has.
  public static let maximumCount = 1_000_000_000
  private static let maximumTokens = 1 << 24
  private static let maximumAccumulation = 1 << 16

  /// Checks every setting against its range.
  ///
  /// - Throws: ``TrainingError`` that names the first setting out of range.
  public func validate() throws(TrainingError) {
    let positive = [
      ("steps", steps), ("batch-size", batchSize), ("accumulate", accumulation),
      ("evaluate-every", evaluateEvery ?? 1), ("save-every", saveEvery ?? 1),
      ("early-stop", earlyStop ?? 1), ("keep-last", keepLast ?? 1),
    ]
    for (name, value) in positive where !(1...Self.maximumCount).contains(value) {
      throw invalid(name, "1 to \(Self.maximumCount)", "\(value)")
    }
    guard (2...Self.maximumTokens).contains(sequenceLength) else {
      throw invalid("sequence-length", "2 to \(Self.maximumTokens)", "\(sequenceLength)")
    }
    guard batchSize <= Self.maximumTokens / sequenceLength else {
      throw invalid(
        "batch-size", "at most \(Self.maximumTokens) tokens in a batch",
        "\(batchSize) windows of \(sequenceLength)")
    }
    guard accumulation <= Self.maximumAccumulation else {
      throw invalid("accumulate", "at most \(Self.maximumAccumulation)", "\(accumulation)")
    }
    guard (0...1).contains(warmupFraction ?? 0), (0...steps).contains(schedule.warmupSteps) else {
      throw invalid("warmup", "0 to \(steps) steps", "\(warmupFraction ?? Double(warmupSteps))")
    }
    guard learningRate > 0, learningRate.isFinite else {
      throw invalid("learning-rate", "a positive number", "\(learningRate)")
    }
    guard Float(learningRate).isFinite else {
      throw invalid("learning-rate", "a number that f32 holds", "\(learningRate)")
    }
    try schedule.validate()
    try optimizer.validate()
    guard loraPlusRatio > 0, loraPlusRatio.isFinite else {
      throw invalid("lora-plus-ratio", "a positive number", "\(loraPlusRatio)")
    }
    guard Float(learningRate * loraPlusRatio).isFinite else {
      throw invalid(
        "lora-plus-ratio", "a learning rate of B that f32 holds",
        "\(learningRate) · \(loraPlusRatio)")
    }
    if let clipNorm, !(clipNorm > 0) {
      throw invalid("clip-norm", "a positive number", "\(clipNorm)")
    }
  }

  private func invalid(_ name: String, _ expected: String, _ found: String) -> TrainingError {
    TrainingError(.invalidSetting(name: name, expected: expected, found: found))
  }
}
