import ArgumentParser
import Foundation
import Graft

/// `graft embed`: a vector for each text.
struct EmbedVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "embed", abstract: "Compute the vectors of texts with a sentence encoder.",
    discussion: """
      Prints one line a text: its name, a tab and the numbers of its vector; with --json one \
      JSON object a text. Texts of --text are named by their number.
      """)

  @Argument(help: "The model: a model directory or one file of a BERT encoder.")
  var model: String

  @Option(name: .long, help: "A text; may be given several times.")
  var text: [String] = []

  @Option(
    name: .long, parsing: .upToNextOption,
    help: "Files with a text a line, or JSON lines with text and perhaps id.")
  var data: [String] = []

  @Flag(name: .long, help: "Print a JSON object a text.")
  var json = false

  @OptionGroup(title: "Computation")
  var compute: ComputeOptions

  @OptionGroup
  var common: CommonOptions

  func validate() throws {
    if text.isEmpty && data.isEmpty { throw ValidationError("give a --text or --data") }
  }

  func run() throws {
    var entries = text.enumerated().map { TextLines.Entry(id: "\($0 + 1)", text: $1) }
    for file in data {
      let lines = try TextLines(file: file).entries
      if !json { try Self.checkNames(of: lines, file) }
      entries += lines
    }
    let model = try SentenceModel(
      model, precision: compute.compute.precision, threads: common.threads)
    let total = entries.reduce(0) { $0 + model.tokens(of: $1.text).count }
    let display = ProgressDisplay("embedding", total: total, unit: .tokens, isQuiet: common.quiet)
    let vectors = try model.vectors(of: entries.map(\.text), progress: display.progress)
    display.finish()
    for (entry, vector) in zip(entries, vectors) {
      Standard.output(json ? Self.json(entry, vector).escapedJSON : Self.line(entry, vector))
    }
  }

  /// A name with a tab or a line feed would break the lines that are printed.
  private static func checkNames(
    of entries: [TextLines.Entry], _ file: String
  ) throws(StorageError) {
    let breaks: Set<Unicode.Scalar> = ["\t", "\n", "\r"]
    for entry in entries where entry.id.unicodeScalars.contains(where: breaks.contains) {
      throw StorageError(
        .notRepresentable(
          what: "the id \(entry.id.escapedShortened)", inFormat: "a line of results"),
        file: file, remedy: "with --json any id is printed")
    }
  }

  private static func json(_ entry: TextLines.Entry, _ vector: [Float]) -> String {
    let numbers = vector.map { "\($0)" }.joined(separator: ",")
    return "{\"id\":\(JSONValue.string(entry.id).serialized(indent: nil)),\"vector\":[\(numbers)]}"
  }

  private static func line(_ entry: TextLines.Entry, _ vector: [Float]) -> String {
    entry.id + "\t" + vector.map { "\($0)" }.joined(separator: " ")
  }
}
