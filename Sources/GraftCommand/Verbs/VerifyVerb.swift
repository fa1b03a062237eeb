import ArgumentParser
import Graft

/// `graft verify`: whether a checkpoint is sound.
struct VerifyVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Check a model, adapter or table to its last element.",
    discussion: """
      Checks the structure and the index, every tensor of the architecture against config.json, \
      tied tensors, NaN and infinity; of an adapter its factors and, with --base, its fit. \
      Exits with 1 when something is wrong, and lists it. --repair writes a sharded checkpoint \
      anew with a right index.
      """)

  @Argument(help: "A model or adapter directory, a shard index, or one file.")
  var path: String

  @Option(name: .long, help: "The model that the adapter is for.")
  var base: String?

  @Flag(
    name: .long,
    help: "Write a sharded checkpoint anew with an index made from its shards, to --out.")
  var repair = false

  @Option(name: .long, help: "The directory that --repair makes.")
  var out: String?

  @Flag(name: .long, help: OutputOptions.overwriteHelp)
  var overwrite = false

  @Flag(name: .long, help: "Print one JSON object.")
  var json = false

  @OptionGroup
  var common: CommonOptions

  func validate() throws {
    guard repair else {
      if out != nil || overwrite { throw ValidationError("--out and --overwrite are for --repair") }
      return
    }
    if out == nil { throw ValidationError("--repair needs --out: the input stays as it is") }
    if base != nil { throw ValidationError("--base has no meaning with --repair") }
  }

  func run() throws {
    if let out, repair { return try repair(to: out) }
    let display = ProgressDisplay("verifying", unit: .bytes, isQuiet: common.quiet)
    let result = try verify(
      path, base: base, threadCount: common.workerCount, progress: display.progress)
    display.finish()
    if json { Standard.output(json: result.json) } else { Standard.output(text(of: result)) }
    if !result.isSound { throw CheckFailed() }
  }

  // MARK: - Repair

  private func repair(to out: String) throws {
    let total = (try? Directory.weightByteCount(of: path)) ?? 0
    let display = ProgressDisplay("repairing", total: total, unit: .bytes, isQuiet: common.quiet)
    let report = try Graft.repair(
      path, to: out, overwrites: overwrite, progress: display.progress)
    display.finish()
    if json { Standard.output(json: report.json) } else { Standard.output(text(of: report)) }
  }

  private func text(of report: RepairReport) -> String {
    let extent =
      "\(Quantity.of(report.tensorCount, "tensor")), \(Quantity.bytes(report.byteCount)) in "
      + Quantity.of(report.shards.count, "file")
    guard let output = report.output else { return "nothing to repair: \(extent)" }
    return
      (report.faults.map { "repaired: \($0)" }
      + report.ties.map { "tied: \($0.kept) = \($0.left)" }
      + (report.strangers + report.others).map { "left out: \($0.escapedShortened)" }
      + ["\(output.escapedWhole): \(extent)"]).joined(separator: "\n")
  }

  // MARK: - Defects

  private func text(of result: Verification) -> String {
    let notes =
      result.omissions.map { "not checked: " + $0 }
      + TensorGroup.fold(result.unexpected).map { group in
        let count = group.members.count > 1 ? "  ×\(group.members.count)" : ""
        return "unexpected: \(group.name)\(count), for which config.json doesn't ask"
      }
    guard !result.isSound else {
      let extent =
        "\(Quantity.of(result.tensorCount, "tensor")), \(Quantity.bytes(result.byteCount))"
      return
        (["sound: \(extent)"] + result.checks.map { "  checked: " + $0 }
        + notes.map { "  " + $0 }).joined(separator: "\n")
    }
    let count = result.defects.count
    return
      (result.defects.map(\.description) + notes
      + [Quantity.of(count, "defect")]).joined(separator: "\n")
  }
}

extension Directory {
  /// The bytes of the safetensors files at a path, or beside the index that it names.
  fileprivate static func weightByteCount(of path: String) throws -> Int {
    let folder = exists(at: path) ? path : parent(of: path)
    return try entries(of: folder).filter { $0.hasSuffix(".safetensors") }.reduce(0) {
      $0 + (try InputFile(path: folder + "/" + $1).byteCount)
    }
  }
}

extension OpenedCheckpoint {
  /// The bytes of all tensors.
  var byteCount: Int { reader.tensors.reduce(0) { $0 + $1.byteCount } }
}
