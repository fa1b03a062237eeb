/// What is known after one optimizer step: one line of `training_log.jsonl`.
public struct StepRecord: Sendable, Equatable {
  /// The step, counted from 1.
  public var step: Int
  /// Mean nats per predicted token of the step's batches, before the update.
  public var loss: Double
  /// The learning rate of the update.
  public var learningRate: Double
  /// The norm of all gradients together, before clipping.
  public var gradientNorm: Double
  /// Tokens read per second, without padding.
  public var tokensPerSecond: Double
  /// Tokens read since the run began.
  public var tokenCount: Int
  /// The process's peak resident memory in bytes.
  public var peakBytes: Int
  /// Mean nats per token on the validation text, at the steps that validate.
  public var validationLoss: Double?

  /// Makes a record.
  public init(
    step: Int, loss: Double, learningRate: Double, gradientNorm: Double, tokensPerSecond: Double,
    tokenCount: Int, peakBytes: Int, validationLoss: Double? = nil
  ) {
    self.step = step
    self.loss = loss
    self.learningRate = learningRate
    self.gradientNorm = gradientNorm
    self.tokensPerSecond = tokensPerSecond
    self.tokenCount = tokenCount
    self.peakBytes = peakBytes
    self.validationLoss = validationLoss
  }
}
