import ArgumentParser

/// When a run validates, saves and ends.
struct RunControlOptions: ParsableArguments {
  @Option(name: .long, help: "Steps between validations (default: at the end only).")
  var evaluateEvery: Int?

  @Option(name: .long, help: "Steps between saves (default: at the end only).")
  var saveEvery: Int?

  @Flag(name: .long, help: "Write what had the lowest validation loss at the end, not the last.")
  var keepBest = false

  @Option(name: .long, help: "End after so many validations without a lower loss.")
  var earlyStop: Int?

  @Option(name: .long, help: "Keep the last saves in snapshots/step-N, too.")
  var keepLast: Int?
}
