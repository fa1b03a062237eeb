import ArgumentParser
import Graft

/// `graft verify`: whether a checkpoint is sound.
struct VerifyVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Check a model, adapter or table to its last element.",
    discussion: """
      Checks the structure and the index, every tensor of the architecture against config.json, \
      tied tensors, NaN and infinity; of an adapter its factors and, with --base, its fit. \
      Exits with 1 when something is wrong, and lists it.
      """)

  @Argument(help: "A model or adapter directory, a shard index, or one file.")
  var path: String

  @Option(name: .long, help: "The model that the adapter is for.")
  var base: String?

  @Flag(name: .long, help: "Print one JSON object.")
  var json = false

  @OptionGroup
  var common: CommonOptions

  func run() throws {
    let display = ProgressDisplay(
      "verifying", total: (try? OpenedCheckpoint(path: path).byteCount) ?? 0, unit: .bytes,
      isQuiet: common.quiet)
    let result = try verify(
      path, base: base, threadCount: common.workerCount, progress: display.progress)
    display.finish()
    Standard.output(json ? result.json.serialized() : text(of: result))
    if !result.isSound { throw CheckFailed() }
  }

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

extension OpenedCheckpoint {
  /// The bytes of all tensors.
  var byteCount: Int { reader.tensors.reduce(0) { $0 + $1.byteCount } }
}
