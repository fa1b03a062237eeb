package import GraftKernels

/// A pretrained decoder, opened for computing: configuration, weights and tokenizer.
///
/// Weights that are stored in the dtype of the computation are mapped and used in place.
public final class LanguageModel: Sendable {
  /// The path that was opened.
  public let path: String
  /// The hyperparameters.
  public var configuration: any DecoderConfiguration { architecture }
  /// The tokenizer.
  public let tokenizer: Tokenizer
  /// The dtype that matrices and activations are computed in.
  public let precision: ComputePrecision
  /// The tensors.
  public let weights: ModelWeights
  package let architecture: any DecoderArchitecture
  package let kernels: Kernels
  /// `config.json`.
  let configurationFile: [UInt8]
  /// `tokenizer_config.json` and `chat_template.jinja`, where the model has them.
  let tokenizerFiles: (configuration: [UInt8]?, template: [UInt8]?)
  /// The tokens that end a generated text: those of `generation_config.json`, else those of `config.json`.
  let generationEndTokens: [Int32]

  /// Opens a model directory or a model in one file.
  ///
  /// - Parameters:
  ///   - path: A model directory, a shard index, or one file that holds configuration and tokenizer too.
  ///   - precision: The dtype to compute in; nil takes bf16 where the CPU has the instructions, else f32.
  ///   - threads: Threads to compute with; nil takes all cores.
  /// - Throws: ``StorageError`` and ``ModelError``.
  public init(
    _ path: String, precision: ComputePrecision? = nil, threads: Int? = nil
  ) throws {
    let opened = try OpenedCheckpoint(path: path)
    try opened.checkComputable()
    let kernels = Kernels(pool: ThreadPool(threadCount: threads ?? ThreadPool.processorCount))
    let precision = precision ?? (kernels.hasBF16DotProduct ? .bf16 : .f32)
    configurationFile = try opened.requiredFile("config.json")
    architecture = try KnownArchitectures.decoder(
      try JSONValue.parse(configurationFile, file: path + "/config.json"),
      file: path + "/config.json")
    tokenizer = try Tokenizer(
      tokenizerJSON: try opened.requiredFile("tokenizer.json"), file: path + "/tokenizer.json")
    weights = try ModelWeights(
      opened.reader, needed: architecture.tensors, stored: architecture.storedNames,
      precision: precision, kernels: kernels)
    tokenizerFiles = (
      try opened.file("tokenizer_config.json")?.contents(),
      try opened.file("chat_template.jinja")?.contents()
    )
    let generation = try opened.json(ifPresent: "generation_config.json").map {
      (json) throws(ModelError) in
      try GenerationSettings(json, file: path + "/generation_config.json")
    }
    generationEndTokens = (generation?.endTokens ?? architecture.endTokens).map(Int32.init)
    self.path = path
    self.precision = precision
    self.kernels = kernels
  }

  /// Checks that positions up to a count can be computed.
  ///
  /// - Throws: ``ModelError/Reason/sequenceTooLong(tokens:maximum:)`` where each position has a learned row.
  func checkPositions(_ count: Int, remedy: String) throws(ModelError) {
    guard configuration.hasLearnedPositions, count > configuration.maximumPositions else { return }
    throw ModelError(
      .sequenceTooLong(tokens: count, maximum: configuration.maximumPositions), file: path,
      remedy: remedy)
  }

  /// The token that ends a text, put between documents.
  public var endToken: Int32? { configuration.endTokens.first.map(Int32.init) }
}
