import ArgumentParser
import Graft

/// `graft plan`: what a verb would do.
struct PlanVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan", abstract: "Say what a verb would do, and write nothing.",
    subcommands: [PlanTrainVerb.self, PlanMergeVerb.self])
}

/// `graft plan train`: what training would do, before its first step.
struct PlanTrainVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train", abstract: "Say what graft train would do with the same options.",
    discussion: """
      Reads the model and the data, compiles the step and measures for a moment how fast this \
      machine is. Nothing is written.
      """)

  @OptionGroup
  var train: TrainVerb

  @Flag(name: .long, help: "Print one JSON object.")
  var json = false

  func run() throws {
    ProcessMemory.returnFreedMemory()
    var request = try train.request()
    let model = try train.compute.model(train.model, train.common)
    try train.adapter.settle(&request, for: model)
    let forecast = try model.plan(request)
    if json { Standard.output(json: forecast.json) } else { Standard.output(forecast.text) }
  }
}

/// `graft plan merge`: what merging would read, write and hold.
struct PlanMergeVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge", abstract: "Say what graft merge would do with the same options.",
    discussion: """
      Reads the adapters and the headers of the base, and looks at what stands in the output's \
      place. Nothing is written.
      """)

  @OptionGroup
  var merge: MergeVerb

  func run() throws {
    let request = try merge.request()
    let forecast = try planMerge(
      base: request.base, adapters: request.adapters, output: merge.out, options: request.options)
    if merge.json {
      Standard.output(json: forecast.json)
    } else {
      Standard.output(forecast.text)
    }
  }
}
