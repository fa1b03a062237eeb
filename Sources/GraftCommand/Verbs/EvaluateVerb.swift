import ArgumentParser
import Foundation
import Graft

/// `graft evaluate`: the loss on a text.
struct EvaluateVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Measure the loss of a model, with or without adapters.",
    discussion: """
      Plain text is cut into consecutive windows of --sequence-length tokens; each predicts its \
      second to last tokens. Each example of JSON lines has a window of its own, or with --pack shares one.
      """)

  @Argument(help: "The model: a model directory or one file.")
  var model: String

  @Option(name: .long, help: "An adapter to attach; may be given several times.")
  var adapter: [String] = []

  @Option(name: .long, parsing: .upToNextOption, help: "Text or JSON-lines files.")
  var data: [String]

  @Option(name: .long, help: "Tokens in a window.")
  var sequenceLength = 512

  @Option(name: .long, help: "Windows in a batch.")
  var batchSize = 4

  @Flag(name: .long, help: "Print one JSON object.")
  var json = false

  @OptionGroup(title: "Data")
  var dataOptions: DataOptions

  @OptionGroup(title: "Computation")
  var compute: ComputeOptions

  @OptionGroup
  var common: CommonOptions

  func validate() throws {
    if !(2...(1 << 24)).contains(sequenceLength) {
      throw ValidationError("--sequence-length is 2 to \(1 << 24)")
    }
    if !(1...(1 << 20)).contains(batchSize) {
      throw ValidationError("--batch-size is 1 to \(1 << 20)")
    }
  }

  func run() throws {
    let model = try compute.model(model, common)
    let adapters = try adapter.map { try OpenedCheckpoint(path: $0).adapter() }
    var display: ProgressDisplay?
    let result = try model.evaluate(
      data, adapters: adapters, data: dataOptions.settings, sequenceLength: sequenceLength,
      batchSize: batchSize
    ) { tokens in
      let shown = ProgressDisplay(
        "evaluating", total: tokens, unit: .tokens, isQuiet: common.quiet)
      display = shown
      return shown.progress
    }
    display?.finish()
    if result.cutCount > 0, !common.quiet {
      Standard.error(
        "\(Quantity.count(result.cutCount)) of \(Quantity.count(result.exampleCount)) examples "
          + "cut to \(sequenceLength) tokens")
    }
    if json {
      Standard.output(
        json: .object(
          JSONObject(members: [
            ("loss", JSONValue(result.loss)), ("perplexity", JSONValue(result.perplexity)),
            ("tokenCount", JSONValue(result.tokenCount)),
            ("cutCount", JSONValue(result.cutCount)),
            ("tokensPerSecond", JSONValue(result.tokensPerSecond)),
          ])))
    } else {
      Standard.output(
        String(
          format: "loss %.4f nats per token, perplexity %.2f, ", result.loss, result.perplexity)
          + "\(Quantity.count(result.tokenCount)) tokens")
    }
  }
}
