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

  @Option(
    name: .long,
    help: """
      The dtype of all floating-point tensors; keep leaves each as it is. The types from q8_0 on are for GGUF, \
      and there the matrices' type.
      """)
  var dtype = Stored.keep

  /// The dtype of floats.
  ///
  /// - Throws: `ValidationError` for a type that only GGUF has.
  func floats() throws -> DType? {
    guard let dtype = dtype.mixture?.dtype else { return nil }
    guard dtype.isComputableFloat else {
      throw ValidationError("--dtype \(self.dtype.rawValue) is for GGUF")
    }
    return dtype
  }

  @Option(
    name: .long,
    help: "The most tensor data in one safetensors or GGUF file, for example 5GB or 500MiB.")
  var maxShardSize: ByteSize?

  @Flag(name: .long, help: Self.overwriteHelp)
  var overwrite = false

  /// The help of `--overwrite`, which other verbs have too.
  static let overwriteHelp: ArgumentHelp =
    "Replace a checkpoint of another kind, or one with files that the new one doesn't have."

  @Option(name: .long, help: "Compression inside HDF5: none, zstd or zstd:LEVEL (1 to 22).")
  var compress = Compression(value: .none)
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
