import ArgumentParser
import Graft

/// `graft convert`: another format, sharding or dtype.
struct ConvertVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert", abstract: "Write a checkpoint in another format, sharding or dtype.",
    discussion: """
      Without --to the suffix of the target decides: .weights.h5 and .keras are Keras's, other .h5 \
      and .hdf5 are HDF5, .gguf is GGUF, .safetensors is one file of tensors, .bin, .pt, .pth and \
      .ckpt one of PyTorch, .npz and .npy NumPy's, anything else a directory. A model travels with \
      its configuration and \
      tokenizer; one that went to HDF5 comes back bit for bit. GGUF models become directories with \
      the names and layout of the model that they were made from, and directories GGUF models that \
      llama.cpp loads; quantized ones become bf16 unless --dtype says otherwise. Source and target may be the same path.
      """)

  /// What `--to` takes.
  enum Form: String, ExpressibleByArgument, CaseIterable {
    case safetensors, hdf5, gguf, keras, torch, npz, word2vec, glove
  }

  @Argument(help: "What to convert: a directory, a shard index, or one file.")
  var source: String

  @Argument(help: "The target: a directory or a file.")
  var target: String

  @Option(
    name: .long,
    help:
      "The format of the target; word2vec and glove write an embedding table with its words (word2vec is text for .txt and .vec, else binary)."
  )
  var to: Form?

  @Option(name: .long, help: "A tokenizer.json for a table of vectors that has none beside it.")
  var tokenizer: String?

  @Flag(
    name: .long,
    help: "Leave out what the target has no place for, such as files beside the weights.")
  var allowLoss = false

  @Flag(name: .long, help: "Print one JSON object.")
  var json = false

  @OptionGroup(title: "Output")
  var output: OutputOptions

  @OptionGroup
  var common: CommonOptions

  func validate() throws { _ = try form() }

  func run() throws {
    let opened = try OpenedCheckpoint(
      path: source, tokenizer: tokenizer, threadCount: common.threads)
    let display = ProgressDisplay(
      "converting", total: opened.byteCount, unit: .bytes, isQuiet: common.quiet)
    let form = try form()
    var options = ConversionOptions(form: form, threadCount: common.workerCount)
    if case .gguf = form {} else { options.dtype = try output.floats() }
    options.overwrites = output.overwrite
    options.allowsLoss = allowLoss
    let report = try convert(opened, to: target, options: options, progress: display.progress)
    display.finish()
    guard !json else { return Standard.output(report.json.serialized()) }
    let changed = report.convertedCount
    Standard.output(
      "\(target): \(Quantity.of(report.tensors.count, "tensor")), \(Quantity.bytes(report.byteCount))"
        + (changed > 0 ? ", \(Quantity.count(changed)) with another dtype" : ""))
    for loss in report.losses { Standard.output("  left out: \(loss.what.escapedForTerminal)") }
  }

  /// The form that the options ask for.
  private func form() throws -> ConversionForm {
    var form = ConversionForm(for: target)
    let isText = [".txt", ".vec"].contains { target.lowercased().hasSuffix($0) }
    switch to {
    case .safetensors where form != .safetensorsFile: form = .directory()
    case .hdf5: form = .hdf5()
    case .gguf: form = .gguf()
    case .keras:
      guard [".h5", ".hdf5", ".keras"].contains(where: target.lowercased().hasSuffix) else {
        throw ValidationError(
          "--to keras writes one file: name it FILE.weights.h5, FILE.keras, or FILE.h5 for the legacy layout"
        )
      }
      form = .keras()
    case .torch where form != .pyTorchFile: form = .pyTorchDirectory
    case .npz where form != .numPy(.singleArray): form = .numPy(.archive)
    case .word2vec: form = .wordVectors(isText ? .word2vecText : .word2vecBinary)
    case .glove: form = .wordVectors(.glove)
    case .safetensors, .torch, .npz, nil: break
    }
    let limit = output.maxShardSize?.byteCount
    switch form {
    case .gguf: form = .gguf(output.dtype.mixture, maximumShardByteCount: limit)
    case .directory: form = .directory(maximumShardByteCount: limit)
    case .safetensorsFile, .hdf5, .keras, .pyTorchDirectory, .pyTorchFile, .numPy, .wordVectors:
      guard limit == nil else {
        throw ValidationError("--max-shard-size is for directories of safetensors, and GGUF")
      }
    }
    if case .gguf = form {} else { _ = try output.floats() }
    if output.compress.value != .none {
      switch form {
      case .hdf5: form = .hdf5(output.compress.value)
      case .keras: form = .keras(output.compress.value)
      default: throw ValidationError("--compress is for HDF5")
      }
    }
    return form
  }
}
