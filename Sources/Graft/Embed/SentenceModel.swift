internal import GraftKernels

/// A pretrained encoder, opened for computing vectors of texts.
public final class SentenceModel: Sendable {
  /// The path that was opened.
  public let path: String
  /// The hyperparameters.
  public let configuration: BERTConfiguration
  /// The tokenizer.
  public let tokenizer: Tokenizer
  /// How the vectors of tokens become one.
  public let pooling: SentencePooling
  /// Tokens of the longest text, special ones included; longer texts are cut.
  public let maximumTokens: Int
  /// The dtype that matrices and activations are computed in.
  public let precision: ComputePrecision
  private let weights: ModelWeights
  private let kernels: Kernels

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
    let file = path + "/config.json"
    let found = try KnownArchitectures.configuration(try opened.json("config.json"), file: file)
    guard let configuration = found as? BERTConfiguration else {
      throw ModelError(
        .unsupported(
          feature: "architecture for vectors of texts",
          found: (try opened.json("config.json"))["architectures"]?[0]?.string ?? "a decoder"),
        file: file,
        remedy: "known are " + BERTConfiguration.architectureNames.joined(separator: ", "))
    }
    let kernels = Kernels(pool: ThreadPool(threadCount: threads ?? ThreadPool.processorCount))
    let precision = precision ?? (kernels.hasBF16DotProduct ? .bf16 : .f32)
    tokenizer = try Tokenizer(
      tokenizerJSON: try opened.requiredFile("tokenizer.json"), file: path + "/tokenizer.json")
    weights = try ModelWeights(
      opened.reader, needed: configuration.tensors, stored: configuration.storedNames,
      precision: precision, kernels: kernels)
    pooling = try Self.pooling(opened)
    let limit = try opened.json(ifPresent: "sentence_bert_config.json")?["max_seq_length"]?.int
    maximumTokens = min(max(limit ?? .max, 1), configuration.maximumPositions)
    self.path = path
    self.configuration = configuration
    self.precision = precision
    self.kernels = kernels
  }

  private static func pooling(_ opened: OpenedCheckpoint) throws -> SentencePooling {
    let name = "1_Pooling/config.json"
    guard let pooling = try opened.json(ifPresent: name) else { return .usual }
    return try SentencePooling(
      pooling: pooling, modules: try opened.json(ifPresent: "modules.json"),
      file: opened.path + "/" + name)
  }

  /// One vector of `hiddenSize` for each text, in order.
  ///
  /// Several texts are computed a run; a text of more than ``maximumTokens`` is cut at its end.
  /// - Throws: ``ModelError``, ``GraphError``, ``StorageError`` when memory runs out.
  public func vectors(
    of texts: [String], progress: Progress = .none
  ) throws -> [[Float]] {
    let tokens = texts.map(tokens(of:))
    guard let longest = tokens.map(\.count).max() else { return [] }
    guard tokens.allSatisfy({ !$0.isEmpty }) else {
      throw ModelError(
        .invalidValue(key: "text", expected: "at least one token", found: "nothing"), file: path)
    }
    let total = tokens.reduce(0) { $0 + $1.count }
    let capacity = max(longest, min(total, Self.tokensInRun))
    let encoder = try Encoder(
      BERTGraph(configuration, weights: weights, precision: precision), weights: weights,
      pooling: pooling, capacity: capacity, kernels: kernels)
    var result = [[Float]](repeating: [], count: texts.count)
    var first = 0
    while first < tokens.count {
      let chosen = first..<first + encoder.count(fitting: tokens[first...])
      for (index, vector) in zip(chosen, try encoder.vectors(of: tokens[chosen])) {
        guard vector.allSatisfy(\.isFinite) else {
          throw ModelError(
            .nonFinite("output"), file: path,
            remedy: "find the tensors at fault: graft verify \(path)")
        }
        result[index] = vector
      }
      progress.advance(tokens[chosen].reduce(0) { $0 + $1.count })
      first = chosen.upperBound
    }
    return result
  }

  /// The tokens of a text, cut so that the special ones around it stay.
  public func tokens(of text: String) -> [Int32] {
    let (prefix, suffix) = tokenizer.framing
    let room = max(0, maximumTokens - prefix.count - suffix.count)
    return prefix + tokenizer.encode(text, addSpecialTokens: false).prefix(room) + suffix
  }

  /// Tokens of one run, so that activations stay small and products large.
  private static let tokensInRun = 2048
}
