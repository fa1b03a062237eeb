import ArgumentParser
import Graft

/// `graft warm-start`: pretrained vectors into a model's embedding table.
struct WarmStartVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "warm-start", abstract: "Import pretrained embeddings into a model.",
    discussion: """
      A token takes the vector of the word that it is spelled like: byte for byte, else when case \
      doesn't count, else without the mark that begins a word. Rows that aren't imported stay.
      """)

  /// What `--scale` takes.
  enum Scale: String, ExpressibleByArgument, CaseIterable {
    case mean, row, none

    var scale: WarmStartOptions.Scale {
      switch self {
      case .mean: .mean
      case .row: .row
      case .none: .none
      }
    }
  }

  @Argument(help: "The model: a directory or one file, with its tokenizer.")
  var model: String

  @Option(
    name: .long,
    help:
      "Word vectors (word2vec, GloVe), a fastText model, or an embedding table with its words or tokenizer."
  )
  var vectors: String

  @Option(name: .long, help: "A tokenizer.json for a table of vectors that has none beside it.")
  var tokenizer: String?

  @Option(name: .long, help: "The new model: a directory or a file, in the forms of graft convert.")
  var out: String

  @Option(
    name: .long,
    help: """
      How long imported rows are made: mean (as the table's rows are in the mean), row (each as the \
      row that it replaces), none (as the vectors are).
      """)
  var scale = Scale.mean

  @Flag(name: .long, help: OutputOptions.allowLossHelp)
  var allowLoss = false

  @Flag(name: .long, help: OutputOptions.overwriteHelp)
  var overwrite = false

  @Option(name: .long, help: "Where to write the report as JSON.")
  var report: String?

  @Flag(name: .long, help: "Print one JSON object.")
  var json = false

  @OptionGroup
  var common: CommonOptions

  func validate() throws {
    try OutputName(out).check()
    if case .wordVectors = OutputForm(for: out) {
      throw ValidationError("warm-start writes models: convert the new one into a table of words")
    }
  }

  func run() throws {
    let base = try OpenedCheckpoint(path: model)
    let table = try OpenedCheckpoint(
      path: vectors, tokenizer: tokenizer, threadCount: common.threads)
    let display = ProgressDisplay(
      "importing", total: base.byteCount, unit: .bytes, isQuiet: common.quiet)
    var options = WarmStartOptions(
      scale: scale.scale, overwrites: overwrite, threadCount: common.workerCount)
    options.allowsLoss = allowLoss
    let result = try warmStart(
      model: base, vectors: table, output: out, report: report, options: options,
      progress: display.progress)
    display.finish()
    guard !json else { return Standard.output(json: result.json) }
    let lines = ["\(out.escapedWhole): \(result)"] + (result.losses + result.notes).map(\.line)
    Standard.output(lines.joined(separator: "\n"))
  }
}
