import Foundation
import Graft
import Synchronization

/// Tells on standard error how training goes.
final class TrainingDisplay: Sendable {
  private struct State {
    var display: ProgressDisplay?
    var last: StepRecord?
    var stepCount = 0
  }

  private let isQuiet: Bool
  private let state = Mutex(State())

  init(isQuiet: Bool) { self.isQuiet = isQuiet }

  /// Says what will be done, before the first step.
  func start(_ summary: TrainingSummary) {
    state.withLock { $0.stepCount = summary.stepCount }
    if summary.isBeyondPositions {
      Standard.error(
        "warning: the windows are longer than the \(Quantity.count(summary.maximumPositions)) tokens that the model was made for"
      )
    }
    guard !isQuiet else { return }
    Standard.error(
      """
      \(Self.subject(summary)), \(Quantity.count(summary.parameterCount)) parameters
      memory: weights \(Quantity.bytes(summary.mappedBytes)) mapped, \
      \(Quantity.bytes(summary.convertedBytes)) converted; \
      activations \(Quantity.bytes(summary.arenaBytes)); \
      \(summary.moduleCount > 0 ? "adapter" : "masters") and optimizer \(Quantity.bytes(summary.stateBytes)); \
      at most \(Quantity.bytes(summary.memory.peakBytes)) beside mapped weights
      data: \(Self.words(for: summary.windows)); \
      \(summary.firstStep < summary.stepCount ? "steps \(summary.firstStep + 1) to \(summary.stepCount)" : "no step is left")
      """)
  }

  /// What is trained.
  private static func subject(_ summary: TrainingSummary) -> String {
    let whole = summary.tensorCount == 1 ? "1 tensor" : "\(summary.tensorCount) tensors"
    if summary.moduleCount == 0 { return "model: \(whole)" }
    let adapter = "adapter: \(summary.moduleCount) modules"
    return summary.tensorCount == 0 ? adapter : "\(adapter) and \(whole) whole"
  }

  /// What windows hold, in words.
  static func words(for windows: TokenWindows) -> String {
    var words = "\(Quantity.count(windows.count)) windows"
    if windows.exampleCount > 0 {
      let fill = 100 * Double(windows.tokenCount) / Double(windows.count * windows.length)
      words =
        "\(Quantity.count(windows.exampleCount)) examples in \(words), "
        + String(format: "%.0f %% full", fill)
    }
    if windows.cutCount > 0 {
      words += ", \(Quantity.count(windows.cutCount)) cut to \(windows.length) tokens"
    }
    return words
  }

  /// Shows a finished step.
  func step(_ record: StepRecord) {
    state.withLock { state in
      let first = state.last == nil
      state.last = record
      let perStep = first ? record.tokenCount / record.step : 1
      if state.display == nil {
        state.display = ProgressDisplay(
          "training", total: (state.stepCount - record.step + 1) * max(perStep, 1), unit: .tokens,
          isQuiet: isQuiet)
      }
      let note = String(
        format: "step %d of %d  loss %.4f", record.step, state.stepCount, record.loss)
      state.display?.advance(by: record.tokenCount / record.step, note: note)
      if let loss = record.validationLoss, !isQuiet {
        state.display?.finish()
        Standard.error(
          String(format: "step %d: validation loss %.4f", record.step, loss))
      }
    }
  }

  /// Says where the adapter is, and of which step it is when that isn't the run's last.
  func finish(output: String, _ outcome: TrainingOutcome) {
    state.withLock { state in
      state.display?.finish()
      for note in outcome.notes { Standard.output(note.line) }
      if outcome.stoppedEarly {
        Standard.output("stopped early: no lower validation loss up to step \(outcome.lastStep)\n")
      }
      if outcome.writtenStep != outcome.lastStep {
        Standard.output("kept the best: step \(outcome.writtenStep)\n")
      }
      guard let last = state.last else {
        return Standard.output(
          "finished before, after \(Quantity.of(outcome.lastStep, "step")): \(output.escapedWhole)")
      }
      Standard.output(
        String(
          format: "%d steps, loss %.4f, %.0f tokens/s, peak %@: ", last.step, last.loss,
          last.tokensPerSecond, Quantity.bytes(last.peakBytes))
          + output.escapedWhole)
    }
  }
}
