public import GraftCore

/// Why an adapter can't be read, matched or applied: the error of GraftAdapters.
public struct AdapterError: DiagnosableError, Equatable {
  /// What went wrong.
  public var reason: Reason
  /// The file concerned, if one is.
  public var file: String?

  /// The kinds of defect.
  public enum Reason: Sendable, Equatable {
    /// A key of `adapter_config.json` has a value of the wrong kind.
    case malformedConfiguration(key: String, expected: String, found: String)
    /// A key of `adapter_config.json` asks for arithmetic that isn't built.
    case unsupportedOption(key: String, found: String)
    /// A regular expression can't be parsed.
    case invalidPattern(pattern: String, position: Int, problem: String)
    /// A target names no module of the base.
    case targetNotFound(target: String, nearest: [String])
    /// A tensor of the adapter isn't one that the layout knows.
    case unexpectedTensor(name: TensorName)
    /// Two tensors of the adapter mean the same thing.
    case duplicateTensor(name: TensorName)
    /// Two adapters bring the same tensor whole.
    case savedTwice(name: TensorName)
    /// A tensor that is saved whole is given a weight, which is for updates.
    case weightedReplacement(name: TensorName, weight: Double)
    /// Of a pair A and B one is missing.
    case missingHalf(module: String, part: String)
    /// A and B disagree on the rank, or a factor isn't a matrix.
    case rankMismatch(module: String, a: Shape, b: Shape)
    /// A has another rank than the configuration says, which also decides the scaling.
    case unexpectedRank(module: String, configured: Int, found: Int)
    /// Pairs of modules that the configuration doesn't target, which PEFT leaves out: the first, and how many.
    case untargeted(module: String, count: Int, pairCount: Int)
    /// The adapter has no tensors.
    case empty
    /// The adapter holds a module that the base hasn't.
    case moduleNotInBase(module: String, nearest: [String])
    /// The adapter holds no module that the base has, or has by another name; what the base is instead.
    case foreignBase(module: String, found: String)
    /// The adapter updates an output head that the base shares with its embedding.
    case tiedHead(module: String, embedding: TensorName)
    /// An update of an embedding is to be computed with.
    case embeddingUpdate(module: String)
    /// An update of the output head is to be trained.
    case untrainableHead(module: String)
    /// The update's shape isn't the base tensor's.
    case shapeMismatch(tensor: TensorName, expected: Shape, found: Shape)
    /// The base tensor is quantized.
    case quantizedBase(tensor: TensorName, dtype: DType)
    /// An element of a tensor of the adapter is NaN or infinite.
    case nonFinite(tensor: TensorName, element: Int)
    /// Finite values of the base become NaN or infinite where an update is added.
    case overflow(tensor: TensorName, count: Int)
    /// The tensor's dtype isn't a float that arithmetic is done on.
    case notFloat(tensor: TensorName, dtype: DType)
  }

  /// Makes an error.
  public init(_ reason: Reason, file: String? = nil) {
    self.reason = reason
    self.file = file
  }

  /// The error, taken apart for printing.
  public var diagnosis: Diagnosis {
    let parts = [file?.escapedWhole, place].compactMap { $0 }
    return Diagnosis(
      kind: kind, summary: summary, location: parts.isEmpty ? nil : parts.joined(separator: ", "),
      remedy: remedy)
  }

  private var kind: Diagnosis.Kind {
    switch reason {
    case .invalidPattern, .targetNotFound, .untrainableHead: file == nil ? .usage : .badInput
    case .malformedConfiguration, .unsupportedOption, .unexpectedTensor, .duplicateTensor,
      .savedTwice, .weightedReplacement, .missingHalf, .rankMismatch, .unexpectedRank, .untargeted,
      .empty, .moduleNotInBase, .foreignBase, .tiedHead, .embeddingUpdate, .shapeMismatch,
      .quantizedBase,
      .nonFinite, .overflow, .notFloat:
      .badInput
    }
  }

  private var summary: String {
    switch reason {
    case .malformedConfiguration(let key, _, _): "\(key.escapedShortened) has an unusable value"
    case .unsupportedOption(let key, _):
      "the adapter uses \(key.escapedShortened), which isn't supported"
    case .invalidPattern(_, _, let problem): "invalid regular expression: \(problem)"
    case .targetNotFound(let target, _):
      "no module of the base matches the target \(target.escapedShortened)"
    case .unexpectedTensor(let name): "\(name) isn't a tensor of a LoRA adapter"
    case .duplicateTensor(let name): "the adapter has \(name) twice"
    case .savedTwice(let name): "two adapters bring \(name) whole"
    case .weightedReplacement(let name, _):
      "the adapter brings \(name) whole, which has no weight"
    case .missingHalf(let module, let part):
      "the adapter lacks \(part) of \(module.escapedShortened)"
    case .rankMismatch(let module, _, _):
      "A and B of \(module.escapedShortened) don't multiply"
    case .unexpectedRank(let module, _, _):
      "\(module.escapedShortened) has another rank than the configuration says"
    case .untargeted(let module, _, _):
      "the adapter has a pair of \(module.escapedShortened), which its configuration doesn't target"
    case .empty: "the adapter has no tensors"
    case .moduleNotInBase(let module, _): "the base has no module \(module.escapedShortened)"
    case .foreignBase(let module, _):
      "the base has no module \(module.escapedShortened), nor any other of the adapter"
    case .tiedHead(let module, let embedding):
      "the base has no \(module.escapedShortened) of its own: its head is \(embedding)"
    case .embeddingUpdate(let module):
      "an update of the embedding \(module.escapedShortened) can't be computed with, only merged"
    case .untrainableHead(let module):
      "an update of the output head \(module.escapedShortened) can't be trained"
    case .shapeMismatch(let tensor, _, _): "the adapter doesn't fit \(tensor)"
    case .quantizedBase(let tensor, _): "\(tensor) of the base is quantized"
    case .nonFinite(let tensor, _): "\(tensor) of the adapter has NaN or infinite values"
    case .overflow(let tensor, _): "the update takes values of \(tensor) to NaN or infinity"
    case .notFloat(let tensor, _): "\(tensor) isn't a floating-point tensor"
    }
  }

  private var place: String? {
    switch reason {
    case .malformedConfiguration(_, let expected, let found):
      "expected \(expected), found \(found.escapedShortened)"
    case .unsupportedOption(_, let found): "found \(found.escapedShortened)"
    case .invalidPattern(let pattern, let position, _):
      "\(pattern.escapedShortened), character \(position)"
    case .weightedReplacement(_, let weight): "expected weight 1, found \(weight)"
    case .rankMismatch(_, let a, let b): "found A: \(a), B: \(b), expected [rank, in], [out, rank]"
    case .unexpectedRank(_, let configured, let found): "expected \(configured), found \(found)"
    case .untargeted(_, let count, let pairCount):
      "found \(count) such pairs among \(pairCount)"
    case .shapeMismatch(_, let expected, let found): "base: \(expected), update: \(found)"
    case .foreignBase(_, let found): "found \(found)"
    case .quantizedBase(_, let dtype), .notFloat(_, let dtype): "found \(dtype)"
    case .nonFinite(_, let element): "the first is element \(element)"
    case .overflow(_, let count): "\(count) values, finite in the base"
    case .targetNotFound, .unexpectedTensor, .duplicateTensor, .savedTwice, .missingHalf,
      .empty, .moduleNotInBase, .tiedHead, .embeddingUpdate, .untrainableHead:
      nil
    }
  }

  private var remedy: String? {
    switch reason {
    case .targetNotFound(_, let nearest), .moduleNotInBase(_, let nearest):
      nearest.isEmpty
        ? nil
        : "did you mean \(nearest.map(\.escapedShortened).joined(separator: ", "))?"
    case .foreignBase:
      "a base is the model that the adapter was trained on: its directory, or a file of its weights"
    case .tiedHead(let module, _):
      "give the base a copy of that tensor as \(module.escapedShortened).weight, and \"tie_word_embeddings\": false in config.json"
    case .embeddingUpdate: "graft merge MODEL ADAPTER --out DIR makes a model of both"
    case .untrainableHead(let module):
      "leave it out of --target-modules, or train it whole: --train-modules \(module)"
    case .untargeted:
      "PEFT leaves such pairs out: name their modules in target_modules, or take the pairs out of the file"
    case .savedTwice: "merge one of them, and the other without its modules_to_save"
    case .weightedReplacement: "merge it with weight 1, or an adapter without modules_to_save"
    case .shapeMismatch: "is this the base that the adapter was trained on?"
    case .quantizedBase: "convert the base to f32, f16 or bf16 first"
    case .overflow: "look at the adapter's alpha, and at the weight and the dtype of the merge"
    case .nonFinite: "graft verify lists all such tensors"
    case .malformedConfiguration, .unsupportedOption, .invalidPattern, .unexpectedTensor,
      .duplicateTensor, .missingHalf, .rankMismatch, .unexpectedRank, .empty, .notFloat:
      nil
    }
  }
}
