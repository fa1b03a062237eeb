import ArgumentParser
import Graft

/// `graft inspect`: what stands at a path.
struct InspectVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Tell what a file or directory holds.",
    discussion: """
      Reads headers and small files only. Formats are told by content: safetensors, sharded \
      checkpoints, GGUF, HDF5, PyTorch, NumPy and word vectors; models, adapters (of PEFT, mlx-lm, kohya's \
      sd-scripts, diffusers and llama.cpp) and embedding tables.
      """)

  @Argument(help: "A model or adapter directory, a shard index, or one file.")
  var path: String

  @Flag(name: .long, help: "List every tensor instead of folding repeated layers.")
  var tensors = false

  @Flag(name: .long, help: "Print one JSON object.")
  var json = false

  @Option(name: .long, help: "Write an HTML page that needs nothing else, with a tree that folds.")
  var html: String?

  @Flag(name: .long, help: "Read all values, and draw a histogram of each tensor into --html.")
  var histograms = false

  @OptionGroup
  var common: CommonOptions

  func validate() throws {
    if histograms, html == nil { throw ValidationError("--histograms are drawn into --html") }
    if html != nil, tensors || json {
      throw ValidationError("--html writes a page; --tensors and --json print")
    }
  }

  func run() throws {
    if let html { return try writePage(to: html) }
    let inspection = try inspect(OpenedCheckpoint(path: path, threadCount: common.threads))
    guard !json else {
      inspection.writeJSON { Standard.stream(json: $0) }
      Standard.stream("\n")
      return
    }
    let text = InspectionText(inspection, columns: DisplayWidth.terminal)
    var bytes: [UInt8] = []
    func write(_ line: String) {
      bytes += line.utf8
      bytes.append(UInt8(ascii: "\n"))
      guard bytes.count >= Self.pieceBytes else { return }
      Standard.stream(bytes)
      bytes.removeAll(keepingCapacity: true)
    }
    text.writeFacts(to: write)
    write("")
    let rows = tensors ? text.list : text.tree
    for line in rows.isEmpty ? [""] : rows { write(line) }
    Standard.stream(bytes)
  }

  /// What is printed at once, about.
  private static let pieceBytes = 1 << 16

  private func writePage(to target: String) throws {
    try InspectionPage.checkTarget(target)
    let checkpoint = try OpenedCheckpoint(path: path, threadCount: common.threads)
    let display = ProgressDisplay(
      "reading values", total: checkpoint.byteCount, unit: .bytes,
      isQuiet: common.quiet || !histograms)
    let page = try InspectionPage(
      of: checkpoint, drawsValues: histograms, threadCount: common.workerCount,
      progress: display.progress)
    display.finish()
    try page.write(to: target)
    let count = Quantity.of(checkpoint.reader.tensors.count, "tensor")
    Standard.output("\(count): \(target.escapedWhole)")
  }
}
