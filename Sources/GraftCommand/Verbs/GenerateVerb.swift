import ArgumentParser
import Graft

/// `graft generate`: text that goes on from a prompt.
struct GenerateVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate", abstract: "Continue a prompt, or answer it, with or without adapters.",
    discussion: """
      The text ends at the model's end token, with --chat also where the template ends an answer, or \
      after --max-tokens.
      """)

  @Argument(help: "The model: a model directory or one file.")
  var model: String

  @Option(name: .long, help: "An adapter to attach; may be given several times.")
  var adapter: [String] = []

  @OptionGroup(title: "Prompt")
  var promptOptions: PromptOptions

  @Option(name: .long, help: "The most tokens to add.")
  var maxTokens = 128

  @Option(name: .long, help: "0 takes the likeliest token each time.")
  var temperature: Float = 0

  @Option(name: .long, help: "Choose among the likeliest tokens of this total probability.")
  var topP: Float = 1

  @Option(name: .long, help: "Decides the random choices.")
  var seed: UInt64 = 0

  @Flag(name: .long, help: "Print one JSON object with token ids instead of streaming text.")
  var json = false

  @OptionGroup(title: "Computation")
  var compute: ComputeOptions

  @OptionGroup
  var common: CommonOptions

  func validate() throws {
    if !(1...1_048_576).contains(maxTokens) {
      throw ValidationError("--max-tokens is 1 to 1048576")
    }
    if !(temperature >= 0 && temperature.isFinite) {
      throw ValidationError("--temperature is 0 or more")
    }
    if !(topP > 0 && topP <= 1) { throw ValidationError("--top-p is above 0 and at most 1") }
  }

  func run() throws {
    let model = try compute.model(model, common)
    let adapters = try adapter.map { try OpenedCheckpoint(path: $0).adapter() }
    let prompt = try promptOptions.prompt(for: model)
    warnOfLength(prompt.tokens.count, model.configuration)
    let result = try model.generate(
      prompt, adapters: adapters, maximumTokens: maxTokens,
      sampler: Sampler(temperature: temperature, topP: topP, seed: seed)
    ) { piece in
      if !json { Standard.stream(piece) }
    }
    if json {
      Standard.output(
        json: .object(
          JSONObject(members: [
            ("text", .string(result.text)),
            ("tokens", .array(result.tokens.map { JSONValue($0) })),
            ("promptTokens", .array(result.promptTokens.map { JSONValue($0) })),
            ("endedByModel", .bool(result.endedByModel)),
            ("tokensPerSecond", JSONValue(result.tokensPerSecond)),
          ])))
    } else {
      Standard.stream("\n")
    }
  }

  /// Warns of positions that the model wasn't made for; where each has a learned row, the library ends the text.
  private func warnOfLength(_ promptLength: Int, _ model: any DecoderConfiguration) {
    guard !model.hasLearnedPositions, promptLength + maxTokens > model.maximumPositions else {
      return
    }
    Standard.error(
      "warning: a prompt of \(Quantity.of(promptLength, "token")) and \(Quantity.count(maxTokens)) more go beyond the "
        + "\(Quantity.count(model.maximumPositions)) tokens that the model was made for")
  }
}
