package import GraftCore
internal import GraftKernels
internal import GraftModels

/// The loop over steps: batches, validation, saves, interruption.
package struct TrainingRun {
  package let trainer: Trainer
  package let settings: TrainingSettings
  package let windows: TokenWindows
  package let validation: (evaluator: Evaluator, windows: TokenWindows)?
  package let best: BestValues?

  package init(
    trainer: Trainer, settings: TrainingSettings, windows: TokenWindows,
    validation: (evaluator: Evaluator, windows: TokenWindows)?, best: BestValues? = nil
  ) {
    self.trainer = trainer
    self.settings = settings
    self.windows = windows
    self.validation = validation
    self.best = best
  }

  /// What a run needs to go on from a position.
  package func stateTensors(at position: TrainingPosition) -> [(
    name: TensorName, value: MemorySlice
  )] {
    trainer.trainable.stateTensors
      + (position.batchesTaken > 0 ? trainer.trainable.accumulators : [])
      + (position.best != nil ? best?.tensors ?? [] : [])
  }

  /// The bytes of what is saved between two steps.
  package var stateByteCount: Int {
    (trainer.trainable.stateTensors + (best?.tensors ?? [])).reduce(0) { $0 + $1.value.byteCount }
  }

  /// Runs from a position to the last step, or to where it stops early; gives the position at the end.
  ///
  /// - Throws: ``TrainingError/Reason/interrupted(step:)`` after saving, when the observer asks to stop;
  ///   ``TrainingError/Reason/nonFinite(step:quantity:)`` after saving what was before the step, or, when the step's result isn't
  ///   finite, with the save before it.
  package func run(
    from position: TrainingPosition, _ observer: any TrainingObserver
  ) throws -> TrainingPosition {
    var cursor = BatchCursor(
      windows, batchSize: settings.batchSize, seed: settings.seed, shuffles: settings.shuffles,
      taken: position.windowsTaken)
    var position = position
    let clock = ContinuousClock()
    if position.isEnd(of: settings) {
      // Killed between the last state and the files that follow it: they are written again.
      try save(position, observer)
    }
    while !position.isEnd(of: settings) {
      let number = position.step + 1
      let began = clock.now
      let batches = cursor.next(settings.accumulation)
      let fresh = batches.count - position.batchesTaken
      let (read, predicted) = (batches.tokenCount, batches.targetCount)
      try accumulate(batches, predicted, &position, observer)
      let outcome = try updated(predicted, &position, observer)
      let seconds = Double((clock.now - began) / .nanoseconds(1)) / 1e9
      position.step = number
      position.windowsTaken = cursor.taken
      position.tokenCount += read
      var record = StepRecord(
        step: number, loss: outcome.loss, learningRate: settings.schedule.rate(at: number - 1),
        gradientNorm: outcome.gradientNorm,
        tokensPerSecond: Double(read * fresh / batches.count) / seconds,
        tokenCount: position.tokenCount, peakBytes: ProcessMemory.peakResidentBytes)
      if let validation, validates(after: number) {
        let loss = try validation.evaluator.evaluate(validation.windows).loss
        record.validationLoss = loss
        position.validated(loss)
        if position.best?.step == number { best?.capture() }
      }
      do {
        try observer.finished(record)
      } catch {
        // What can't be told may still be saved.
        try? save(position, observer)
        throw error
      }
      let stops = observer.isInterrupted
      if stops || saves(after: position) { try save(position, observer) }
      if stops, !position.isEnd(of: settings) {
        throw TrainingError(.interrupted(step: number))
      }
    }
    return position
  }

  // MARK: - One step

  /// Adds the gradients of the batches that the position doesn't count yet.
  private func accumulate(
    _ batches: StepBatches, _ predicted: Int, _ position: inout TrainingPosition,
    _ observer: any TrainingObserver
  ) throws {
    for batch in batches.dropFirst(position.batchesTaken) {
      let number = position.step * settings.accumulation + position.batchesTaken
      position.lossSum += try trainer.add(batch, number: number, targetCount: predicted)
      position.batchesTaken += 1
      if position.batchesTaken < batches.count, observer.isInterrupted {
        let isFinite =
          position.lossSum.isFinite && stateTensors(at: position).allSatisfy { $0.value.isFinite }
        guard isFinite else { break }  // the update tells
        try saveState(position, observer)
        try observer.writeResult()
        throw TrainingError(.interrupted(step: position.step))
      }
    }
  }

  private func updated(
    _ predicted: Int, _ position: inout TrainingPosition, _ observer: any TrainingObserver
  ) throws -> Trainer.Outcome {
    let lossSum = position.lossSum
    position = position.betweenSteps
    do {
      return try trainer.update(
        step: position.step + 1, lossSum: lossSum, targetCount: predicted)
    } catch let error as TrainingError {
      if case .nonFinite = error.reason { try save(position, observer) }
      throw error
    }
  }

  // MARK: - Saves

  /// Saves the state, then what is trained: at the end the best if asked, else what it is now.
  private func save(_ position: TrainingPosition, _ observer: any TrainingObserver) throws {
    try saveState(position, observer)
    if let count = settings.keepLast, position.step > 0 {
      try observer.keepSnapshot(step: position.step, last: count)
    }
    if let best, settings.keepsBest, position.best != nil, position.isEnd(of: settings) {
      try best.withBest { try observer.writeResult() }
    } else {
      try observer.writeResult()
    }
  }

  /// Saves the state, unless a value of it is NaN or infinite: the save before then stays.
  private func saveState(
    _ position: TrainingPosition, _ observer: any TrainingObserver
  ) throws {
    let tensors = stateTensors(at: position)
    if let broken = tensors.first(where: { !$0.value.isFinite }) {
      throw TrainingError(
        .nonFinite(step: position.step, quantity: "result for \(broken.name)"),
        remedy:
          "it isn't saved, and what was before stays; lower --learning-rate, or look at the data")
    }
    try observer.save(tensors, at: position)
  }

  private func validates(after step: Int) -> Bool {
    step == settings.steps || settings.evaluateEvery.map { step % $0 == 0 } ?? false
  }

  private func saves(after position: TrainingPosition) -> Bool {
    position.isEnd(of: settings) || settings.saveEvery.map { position.step % $0 == 0 } ?? false
  }
}
