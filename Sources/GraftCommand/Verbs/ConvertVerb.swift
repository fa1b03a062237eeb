import ArgumentParser
import Graft

/// `graft convert`: another format, sharding or dtype.
struct ConvertVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert", abstract: "Write a checkpoint in another format, sharding or dtype.",
    discussion: """
      Without --to the suffix of the target decides: .weights.h5 and .keras are Keras's, other .h5 \
      and .hdf5 are HDF5, .gguf is GGUF, .safetensors is one file of tensors, .bin, .pt, .pth and \
      .ckpt one of PyTorch, .npz and .npy NumPy's, .vec and .txt a table of words in word2vec's text, \
      anything else a directory. A model travels with its configuration and tokenizer; one that went \
      to HDF5 comes back bit for bit. GGUF models become directories with the names and layout of \
      the model that they were made from, and directories GGUF models that llama.cpp loads; \
      quantized ones become bf16 unless --dtype says otherwise. Source and target may be the same path.
      """)

  @Argument(help: "What to convert: a directory, a shard index, or one file.")
  var source: String

  @Argument(help: "The target: a directory or a file.")
  var target: String

  @Option(name: .long, help: "A tokenizer.json for a table of vectors that has none beside it.")
  var tokenizer: String?

  @Flag(name: .long, help: "Print one JSON object.")
  var json = false

  @OptionGroup(title: "Output")
  var output: OutputOptions

  @OptionGroup
  var common: CommonOptions

  func validate() throws { _ = try output.form(for: target) }

  func run() throws {
    let opened = try OpenedCheckpoint(
      path: source, tokenizer: tokenizer, threadCount: common.threads)
    let display = ProgressDisplay(
      "converting", total: opened.byteCount, unit: .bytes, isQuiet: common.quiet)
    let form = try output.form(for: target)
    var options = ConversionOptions(
      form: form, dtype: try output.floats(in: form), threadCount: common.workerCount)
    options.overwrites = output.overwrite
    options.allowsLoss = output.allowLoss
    let report = try convert(opened, to: target, options: options, progress: display.progress)
    display.finish()
    guard !json else { return Standard.output(json: report.json) }
    let changed = report.convertedCount
    Standard.output(
      "\(target.escapedWhole): \(Quantity.of(report.tensors.count, "tensor")), \(Quantity.bytes(report.byteCount))"
        + (changed > 0 ? ", \(Quantity.count(changed)) with another dtype" : ""))
    for loss in report.losses + report.notes { Standard.output("  " + loss.line) }
  }
}

extension ConversionLoss {
  /// The line that names it.
  var line: String { "left out: \(what.escapedShortened)" }
}
