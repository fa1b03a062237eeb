import ArgumentParser
import Foundation
import Graft

/// `graft merge`: adapters into base weights.
struct MergeVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge", abstract: "Merge adapters into the weights of their base.",
    discussion: """
      Adds scaling · B · A of each adapter in f32 and rounds once to the dtype of the base. An \
      adapter may be followed by a weight, as in ADAPTER:0.5. What came of it is reported: the size \
      of the update, and the share of it that survived rounding. The merged model is written in any \
      form that graft convert writes; GGUF is what a conversion of the merged directory would give.
      """)

  @Argument(help: "The base model: a directory or one file.")
  var model: String

  @Argument(help: "Adapters, each with an optional weight: ADAPTER[:WEIGHT].")
  var adapters: [AdapterArgument]

  @Option(
    name: .long, help: "The merged model: a directory or a file, in the forms of graft convert.")
  var out: String

  @Flag(name: .long, help: "Read the result back and compare it with base and adapters once more.")
  var verify = false

  @Flag(name: .long, help: "Print one JSON object.")
  var json = false

  @OptionGroup(title: "Output")
  var output: OutputOptions

  @OptionGroup
  var common: CommonOptions

  func validate() throws {
    if adapters.isEmpty { throw ValidationError("name at least one adapter") }
    for adapter in adapters { _ = try adapter.weighted() }
    if case .wordVectors = try output.form(for: out) {
      throw ValidationError("merge writes models: convert the merged one into a table of words")
    }
  }

  func run() throws {
    let request = try self.request()
    let display = ProgressDisplay(
      "merging", total: request.base.byteCount, unit: .bytes, isQuiet: common.quiet)
    let receipt = try merge(
      base: request.base, adapters: request.adapters, output: out, options: request.options,
      progress: display.progress)
    display.finish()
    if json { Standard.output(json: receipt.json) } else { Standard.output(summary(of: receipt)) }
  }

  /// What is to be merged, and how: opened, and nothing of it read but headers.
  func request() throws -> (
    base: OpenedCheckpoint, adapters: [WeightedAdapter], options: MergeOptions
  ) {
    let arguments = try adapters.map { try $0.weighted() }
    let base = try OpenedCheckpoint(path: model)
    let weighted = try arguments.map { try WeightedAdapter(path: $0.path, weight: $0.weight) }
    let form = try output.form(for: out)
    var options = MergeOptions(
      dtype: try output.floats(in: form), form: form, verifies: verify,
      threadCount: common.workerCount)
    options.overwrites = output.overwrite
    options.allowsLoss = output.allowLoss
    return (base, weighted, options)
  }

  private func summary(of receipt: MergeReceipt) -> String {
    let entries = receipt.entries
    let update = entries.reduce(0) { $0 + $1.updateNorm * $1.updateNorm }
    let base = entries.reduce(0) { $0 + ($1.isReplaced ? 0 : $1.baseNorm * $1.baseNorm) }
    // The share of each tensor counts by the square of its update.
    let survived = entries.reduce(0) {
      $0 + ($1.survivedFraction ?? 0) * $1.updateNorm * $1.updateNorm
    }
    let changed = entries.reduce(0) { $0 + $1.changedCount }
    let elements = entries.reduce(0) { $0 + $1.elementCount }
    var lines = [
      "\(out.escapedWhole): \(Quantity.of(entries.count, "tensor")) merged, \(Quantity.count(receipt.untouchedCount)) copied, \(Quantity.bytes(receipt.byteCount))",
      base.isFinite
        ? String(
          format: "update: ‖ΔW‖/‖W‖ %.3g, %.2f %% of ΔW survived rounding",
          ratio(update, base).squareRoot(), 100 * ratio(survived, update))
        : "warning: the base has values that are NaN or infinite; graft verify lists them",
      "changed: \(Quantity.count(changed)) of \(Quantity.count(elements)) values"
        + String(format: " (%.2f %%)", 100 * ratio(Double(changed), Double(elements))),
    ]
    if let verified = receipt.verifiedByteCount {
      lines.append("verified: \(Quantity.bytes(verified)) read back and right")
    }
    lines += (receipt.losses + receipt.notes).map(\.line)
    return lines.joined(separator: "\n")
  }

  private func ratio(_ part: Double, _ whole: Double) -> Double { whole > 0 ? part / whole : 0 }
}

/// An adapter and its weight, as `PATH` or `PATH:WEIGHT`, which only what stands at the path tells apart.
struct AdapterArgument: ExpressibleByArgument {
  private let text: String

  init(argument: String) { text = argument }

  /// Takes the argument apart; a path that is there as it is written has no weight.
  ///
  /// - Throws: `ValidationError` for a weight that isn't finite, or one alone.
  func weighted() throws -> (path: String, weight: Double) {
    guard !FileManager.default.fileExists(atPath: text),
      let colon = text.lastIndex(of: ":"),
      let weight = Double(text[text.index(after: colon)...])
    else { return (text, 1) }
    guard weight.isFinite, colon > text.startIndex else {
      throw ValidationError("'\(text)' is no ADAPTER:WEIGHT with a finite weight")
    }
    return (String(text[..<colon]), weight)
  }
}
