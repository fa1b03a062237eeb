/// A reader with something to hold against any bytes: whatever they are, it ends, and what it accepts keeps its promises.
///
/// A broken promise traps, which the fuzzer and the replaying test both see.
public struct FuzzTarget: Sendable {
  /// The name on the command line, and of the folder of past failures.
  public let name: String
  /// Where the inputs to begin with are: folders, or `FOLDER/**END` for those files below a folder whose paths end so.
  public let seeds: [String]
  /// Words that fit the format, for the fuzzer to put together.
  public let dictionary: [String]
  /// How the mutator takes an input apart.
  public let structure: Structure
  /// Reads an input.
  public let run: @Sendable ([UInt8]) -> Void
  /// Makes the first checksum in an input right that isn't; nil where there is none.
  public var repairChecksum: @Sendable ([UInt8]) -> [UInt8]? = { _ in nil }

  /// The most bytes of an input.
  ///
  /// Whatever reads byte by byte takes a thousand times as long under the counters of coverage.
  public var longest = 128 << 10

  /// What a mutator knows of a format.
  public enum Structure: Sendable {
    /// Nothing but that binary numbers stand in it.
    case numbers
    /// A length, that many bytes of JSON, and data.
    case lengthAndHeader
    /// Text.
    case text
    /// A pickle, or several, and data behind them.
    case pickle
    /// NumPy's magic, the length of a header, the header, and data.
    case array
    /// A ZIP archive of pickles, arrays and data.
    case archive
    /// Any of these, as its first bytes say.
    case file
    /// Nothing but decisions, each a byte.
    case decisions
  }

  /// All targets: one that is added here is fuzzed, and its failures are replayed.
  public static let all: [FuzzTarget] = [
    .safetensors, .gguf, .json, .shardIndex, .wordVectors, .binaryWordVectors, .fastText,
    .staticEmbeddings, .hdf5, .keras, .pickle, .pytorch, .numPy, .zip, .tokenizer, .chatTemplate,
    .modelConfiguration, .adapterConfiguration, .anything, .conversion, .conversionChain,
    .kerasLayouts,
  ]

  init(
    _ name: String, seeds: [String], dictionary: [String] = [], structure: Structure,
    run: @escaping @Sendable ([UInt8]) -> Void
  ) {
    self.name = name
    self.seeds = seeds
    self.dictionary = dictionary
    self.structure = structure
    self.run = run
  }

  /// A target whose bytes are decisions: any file will do to begin with.
  init(_ name: String, decisions run: @escaping @Sendable ([UInt8]) -> Void) {
    self.init(name, seeds: ["Formats/json/suite"], structure: .decisions, run: run)
    longest = 512
  }

  /// Runs a target from a file of bytes.
  static func fromFile(
    _ body: @escaping @Sendable (_ path: String, _ byteCount: Int) -> Void
  ) -> @Sendable ([UInt8]) -> Void {
    { bytes in
      let file = InputInMemory(bytes)
      withExtendedLifetime(file) { body(file.path, bytes.count) }
    }
  }
}
