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
      of the update, and the share of it that survived rounding.
      """)

  /// What `--to` takes.
  enum Form: String, ExpressibleByArgument, CaseIterable {
    case safetensors, hdf5
  }

  @Argument(help: "The base model: a directory or one file.")
  var model: String

  @Argument(help: "Adapters, each with an optional weight: ADAPTER[:WEIGHT].")
  var adapters: [AdapterArgument]

  @Option(name: .long, help: "The merged model: a directory, or an .h5 file.")
  var out: String

  @Option(name: .long, help: "The format of the merged model (default: by the suffix of --out).")
  var to: Form?

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
    _ = try output.floats()
    _ = try form()
  }

  func run() throws {
    let base = try OpenedCheckpoint(path: model)
    let weighted = try adapters.map { try WeightedAdapter(path: $0.path, weight: $0.weight) }
    let display = ProgressDisplay(
      "merging", total: base.byteCount, unit: .bytes, isQuiet: common.quiet)
    var options = MergeOptions(
      dtype: try output.floats(), form: try form(), verifies: verify,
      threadCount: common.workerCount)
    options.overwrites = output.overwrite
    let receipt = try merge(
      base: base, adapters: weighted, output: out, options: options, progress: display.progress)
    display.finish()
    Standard.output(json ? receipt.json.serialized() : summary(of: receipt))
  }

  private func form() throws -> OutputForm {
    try output.form(for: out, isHDF5: to.map { $0 == .hdf5 })
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
      "\(out): \(Quantity.of(entries.count, "tensor")) merged, \(Quantity.count(receipt.untouchedCount)) copied, \(Quantity.bytes(receipt.byteCount))",
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
    return lines.joined(separator: "\n")
  }

  private func ratio(_ part: Double, _ whole: Double) -> Double { whole > 0 ? part / whole : 0 }
}

/// An adapter and its weight, as `PATH` or `PATH:WEIGHT`.
struct AdapterArgument: ExpressibleByArgument {
  let path: String
  let weight: Double

  init?(argument: String) {
    guard let colon = argument.lastIndex(of: ":"),
      let weight = Double(argument[argument.index(after: colon)...])
    else {
      (path, weight) = (argument, 1)
      return
    }
    guard weight.isFinite, colon > argument.startIndex else { return nil }
    path = String(argument[..<colon])
    self.weight = weight
  }
}

extension OutputOptions {
  /// The form of a model that a verb writes.
  func form(for path: String, isHDF5: Bool?) throws -> OutputForm {
    let suffix = path.lowercased()
    if isHDF5 ?? (suffix.hasSuffix(".h5") || suffix.hasSuffix(".hdf5")) {
      if maxShardSize != nil {
        throw ValidationError("--max-shard-size is for directories of safetensors")
      }
      return .hdf5(compress.value)
    }
    if compress.value != .none { throw ValidationError("--compress is for HDF5") }
    guard let maxShardSize else { return .safetensors() }
    return .safetensors(maximumShardByteCount: maxShardSize.byteCount)
  }
}
