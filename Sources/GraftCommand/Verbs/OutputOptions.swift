import ArgumentParser
import Graft

/// Options of the verbs that write checkpoints.
struct OutputOptions: ParsableArguments {
  /// What `--dtype` takes.
  enum Stored: String, ExpressibleByArgument, CaseIterable {
    case keep, f32, f16, bf16
    case q8_0, q4_0, q4_1, q5_0, q5_1
    case q4_k_s, q4_k_m, q5_k_s, q5_k_m, q6_k

    /// What the name means for GGUF; nil for keep.
    var mixture: GGUFMixture? { GGUFMixture(rawValue: rawValue) }
  }

  /// What `--to` takes.
  enum Form: String, ExpressibleByArgument, CaseIterable {
    case safetensors, hdf5, gguf, keras, torch, npz, word2vec, glove
  }

  @Option(
    name: .long,
    help: """
      The format of the target (default: by its suffix); safetensors and torch write one file where the \
      target's name has a suffix, else a directory; word2vec and glove write an embedding table \
      with its words (word2vec is text for .txt and .vec, else binary).
      """)
  var to: Form?

  @Option(
    name: .long,
    help: """
      The dtype of all floating-point tensors; keep leaves each as it is. The types from q8_0 on are for GGUF, \
      and there the matrices' type.
      """)
  var dtype = Stored.keep

  /// The dtype that all floats get in a form; nil where each keeps its own, and in GGUF, which gives every tensor its type.
  ///
  /// - Throws: `ValidationError` for a type that only GGUF has.
  func floats(in form: OutputForm) throws -> DType? {
    if case .gguf = form { return nil }
    guard let dtype = dtype.mixture?.dtype else { return nil }
    guard dtype.isComputableFloat else {
      throw ValidationError("--dtype \(self.dtype.rawValue) is for GGUF")
    }
    return dtype
  }

  @Option(
    name: .long, parsing: .unconditional,
    help: "The most tensor data in one file of safetensors, PyTorch or GGUF, for example 500MiB.")
  var maxShardSize: ByteSize?

  @Flag(name: .long, help: Self.allowLossHelp)
  var allowLoss = false

  /// The help of `--allow-loss`, which other verbs have too.
  static let allowLossHelp: ArgumentHelp =
    "Leave out what the target has no place for, such as files beside the weights."

  @Flag(name: .long, help: Self.overwriteHelp)
  var overwrite = false

  /// The help of `--overwrite`, which other verbs have too.
  static let overwriteHelp: ArgumentHelp =
    "Replace a checkpoint of another kind, or one with files or tensors that the new one doesn't have."

  @Option(name: .long, help: "Compression inside HDF5: none, zstd or zstd:LEVEL (1 to 22).")
  var compress = Compression(value: .none)
}

extension OutputOptions {
  /// The form that the options ask for at a path.
  ///
  /// - Throws: `ValidationError` for options that don't go together.
  func form(for path: String) throws -> OutputForm {
    var form = try chosenForm(for: path)
    let limit = maxShardSize?.byteCount
    switch form {
    case .gguf: form = .gguf(dtype.mixture, maximumShardByteCount: limit)
    case .directory: form = .directory(maximumShardByteCount: limit)
    case .pyTorchDirectory: form = .pyTorchDirectory(maximumShardByteCount: limit)
    case .safetensorsFile, .hdf5, .keras, .pyTorchFile, .numPy, .wordVectors:
      guard limit == nil else {
        throw ValidationError(
          "--max-shard-size is for directories of safetensors or PyTorch's files, and GGUF")
      }
    }
    _ = try floats(in: form)
    if compress.value != .none {
      switch form {
      case .hdf5: form = .hdf5(compress.value)
      case .keras: form = .keras(compress.value)
      default: throw ValidationError("--compress is for HDF5")
      }
    }
    return form
  }

  /// The form that `--to` names, else the path's suffix.
  private func chosenForm(for path: String) throws -> OutputForm {
    let form = OutputForm(for: path)
    let name = path.lowercased()
    if to == nil { try OutputName(path).check() }
    switch to {
    case .safetensors: return OutputName(path).isFile ? .safetensorsFile : .directory()
    case .hdf5: return .hdf5()
    case .gguf: return .gguf()
    case .keras:
      guard [".h5", ".hdf5", ".keras"].contains(where: name.hasSuffix) else {
        throw ValidationError(
          "--to keras writes one file: name it FILE.weights.h5, FILE.keras, or FILE.h5 for the legacy layout"
        )
      }
      return .keras()
    case .torch: return OutputName(path).isFile ? .pyTorchFile : .pyTorchDirectory()
    case .npz where form != .numPy(.singleArray): return .numPy(.archive)
    case .word2vec:
      return .wordVectors(OutputForm.isWordText(path) ? .word2vecText : .word2vecBinary)
    case .glove: return .wordVectors(.glove)
    case .npz, nil: return form
    }
  }
}

/// A number of bytes with a unit.
struct ByteSize: ExpressibleByArgument {
  /// The number.
  let byteCount: Int

  private static let units: [(suffix: String, factor: Int)] = [
    ("kib", 1 << 10), ("mib", 1 << 20), ("gib", 1 << 30), ("tib", 1 << 40), ("kb", 1000),
    ("mb", 1_000_000), ("gb", 1_000_000_000), ("tb", 1_000_000_000_000), ("b", 1), ("", 1),
  ]

  init?(argument: String) {
    let text = argument.lowercased()
    guard let unit = Self.units.first(where: { text.hasSuffix($0.suffix) }),
      let number = Double(text.dropLast(unit.suffix.count)),
      let count = Int(exactly: (number * Double(unit.factor)).rounded()), count > 0
    else { return nil }
    byteCount = count
  }
}

/// What `--compress` takes.
struct Compression: ExpressibleByArgument, CustomStringConvertible {
  /// The compression.
  let value: HDF5Compression

  init(value: HDF5Compression) { self.value = value }

  init?(argument: String) {
    let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
    switch (parts.first, parts.count) {
    case ("none", 1): value = .none
    case ("zstd", 1): value = .zstd()
    case ("zstd", 2):
      guard let level = Int(parts[1]), (1...22).contains(level) else { return nil }
      value = .zstd(level: level)
    default: return nil
    }
  }

  var description: String {
    switch value {
    case .none: "none"
    case .zstd(let level): "zstd:\(level)"
    }
  }

  var defaultValueDescription: String { description }
}
