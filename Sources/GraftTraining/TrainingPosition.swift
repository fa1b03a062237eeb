/// Where a run stands: what a resumed run goes on from, besides the tensors.
public struct TrainingPosition: Sendable, Equatable {
  /// Finished optimizer steps.
  public var step: Int
  /// Windows that the finished steps took from the data.
  public var windowsTaken: Int
  /// Tokens that the finished steps read.
  public var tokenCount: Int
  /// Batches of the next step whose gradients are in the accumulators already.
  public var batchesTaken = 0
  /// The summed loss of these batches, in nats.
  public var lossSum = 0.0
  /// The lowest validation loss so far, and the step that had it.
  public var best: Best?
  /// Validations since then.
  public var validationsSinceBest = 0

  /// A validation loss and its step.
  public struct Best: Sendable, Equatable {
    /// The step, counted from 1.
    public let step: Int
    /// Mean nats per token.
    public let loss: Double

    /// Makes one.
    public init(step: Int, loss: Double) {
      self.step = step
      self.loss = loss
    }
  }

  /// The beginning of a run.
  public static let start = TrainingPosition(step: 0, windowsTaken: 0, tokenCount: 0)

  /// Makes a position between two steps.
  public init(step: Int, windowsTaken: Int, tokenCount: Int) {
    self.step = step
    self.windowsTaken = windowsTaken
    self.tokenCount = tokenCount
  }

  /// The position without the batches of an unfinished step.
  var betweenSteps: TrainingPosition {
    var result = self
    result.batchesTaken = 0
    result.lossSum = 0
    return result
  }

  /// The position after a validation.
  mutating func validated(_ loss: Double) {
    // A loss that isn't a number is no improvement.
    if best.map({ loss < $0.loss }) ?? loss.isFinite {
      best = Best(step: step, loss: loss)
      validationsSinceBest = 0
    } else {
      validationsSinceBest += 1
    }
  }

  /// Whether a run with these settings ends here.
  func isEnd(of settings: TrainingSettings) -> Bool {
    step == settings.steps || stopsEarly(settings)
  }

  /// Whether validations have gone without a lower loss for as long as the settings allow.
  func stopsEarly(_ settings: TrainingSettings) -> Bool {
    settings.earlyStop.map { validationsSinceBest >= $0 } ?? false
  }

  /// Checks a position read from a file against the run that it is meant for.
  ///
  /// - Throws: ``TrainingError/Reason/damagedState(expected:found:)``.
  public func check(against settings: TrainingSettings, file: String) throws(TrainingError) {
    let windows = step.multipliedReportingOverflow(
      by: settings.batchSize * settings.accumulation)
    let tokens = windows.partialValue.multipliedReportingOverflow(by: settings.sequenceLength)
    guard (0...settings.steps).contains(step), !windows.overflow, !tokens.overflow,
      windowsTaken == windows.partialValue, (0...tokens.partialValue).contains(tokenCount),
      (0..<settings.accumulation).contains(batchesTaken),
      best.map({ (1...max(step, 1)).contains($0.step) }) ?? true
    else {
      throw TrainingError(
        .damagedState(
          expected: "a step up to \(settings.steps) with its windows",
          found:
            "step \(step), \(windowsTaken) windows, \(tokenCount) tokens, \(batchesTaken) batches"),
        file: file, remedy: TrainingError.remedyOfDamage)
    }
  }
}
