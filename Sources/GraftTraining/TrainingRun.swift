public import GraftCore
internal import GraftKernels
internal import GraftModels

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

/// Where a run stands: what a resumed run goes on from, besides the tensors.
public struct TrainingPosition: Sendable, Equatable {
  /// Finished optimizer steps.
  public var step: Int
  /// Windows taken from the data.
  public var windowsTaken: Int
  /// Tokens read.
  public var tokenCount: Int

  /// The beginning of a run.
  public static let start = TrainingPosition(step: 0, windowsTaken: 0, tokenCount: 0)

  /// Checks a position read from a file against the run that it is meant for.
  ///
  /// - Throws: ``TrainingError/Reason/stateMismatch(setting:expected:found:)``.
  public func check(against settings: TrainingSettings, file: String) throws(TrainingError) {
    let windows = step.multipliedReportingOverflow(
      by: settings.batchSize * settings.accumulation)
    let tokens = windows.partialValue.multipliedReportingOverflow(by: settings.sequenceLength)
    guard (0...settings.steps).contains(step), !windows.overflow, !tokens.overflow,
      windowsTaken == windows.partialValue, (0...tokens.partialValue).contains(tokenCount)
    else {
      throw TrainingError(
        .stateMismatch(
          setting: "position", expected: "a step up to \(settings.steps) with its windows",
          found: "step \(step), \(windowsTaken) windows, \(tokenCount) tokens"),
        file: file)
    }
  }

  /// Makes a position.
  public init(step: Int, windowsTaken: Int, tokenCount: Int) {
    self.step = step
    self.windowsTaken = windowsTaken
    self.tokenCount = tokenCount
  }
}

/// What happens to a run's results; the facade writes them to disk.
public protocol TrainingObserver: AnyObject {
  /// A step is finished.
  func finished(_ record: StepRecord) throws
  /// The state is to be saved: everything that `tensors` names, and the position.
  func save(_ tensors: [(name: TensorName, value: MemorySlice)], at position: TrainingPosition)
    throws
  /// Whether the user asked to stop.
  var isInterrupted: Bool { get }
}

/// The loop over steps: batches, validation, saves, interruption.
package struct TrainingRun {
  package let trainer: Trainer
  package let settings: TrainingSettings
  package let windows: TokenWindows
  package let validation: (evaluator: Evaluator, windows: TokenWindows)?

  package init(
    trainer: Trainer, settings: TrainingSettings, windows: TokenWindows,
    validation: (evaluator: Evaluator, windows: TokenWindows)?
  ) {
    self.trainer = trainer
    self.settings = settings
    self.windows = windows
    self.validation = validation
  }

  /// Runs from a position to the last step.
  ///
  /// - Throws: ``TrainingError/Reason/interrupted(step:)`` after saving, when the observer asks to stop.
  package func run(from position: TrainingPosition, _ observer: any TrainingObserver) throws {
    var cursor = BatchCursor(
      windows, batchSize: settings.batchSize, seed: settings.seed, shuffles: settings.shuffles,
      taken: position.windowsTaken)
    var position = position
    let clock = ContinuousClock()
    if position.step == settings.steps {
      // Killed between the last state and the files that follow it: they are written again.
      try observer.save(trainer.trainable.stateTensors, at: position)
    }
    while position.step < settings.steps {
      let number = position.step + 1
      let began = clock.now
      let outcome = try trainer.run(cursor.next(settings.accumulation), step: number)
      let tokens = outcome.tokenCount
      let seconds = Double((clock.now - began) / .nanoseconds(1)) / 1e9
      position = TrainingPosition(
        step: number, windowsTaken: cursor.taken, tokenCount: position.tokenCount + tokens)
      var record = StepRecord(
        step: number, loss: outcome.loss, learningRate: settings.schedule.rate(at: number - 1),
        gradientNorm: outcome.gradientNorm, tokensPerSecond: Double(tokens) / seconds,
        tokenCount: position.tokenCount, peakBytes: ProcessMemory.peakResidentBytes)
      if let validation, validates(after: number) {
        record.validationLoss = try validation.evaluator.evaluate(validation.windows).loss
      }
      try observer.finished(record)
      let stops = observer.isInterrupted
      if stops || saves(after: number) {
        try observer.save(trainer.trainable.stateTensors, at: position)
      }
      if stops, number < settings.steps { throw TrainingError(.interrupted(step: number)) }
    }
  }

  private func validates(after step: Int) -> Bool {
    step == settings.steps || settings.evaluateEvery.map { step % $0 == 0 } ?? false
  }

  private func saves(after step: Int) -> Bool {
    step == settings.steps || settings.saveEvery.map { step % $0 == 0 } ?? false
  }
}
