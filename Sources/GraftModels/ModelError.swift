public import GraftCore

/// Why a model, its configuration or its tokenizer can't be used.
public struct ModelError: DiagnosableError, Equatable {
  /// What is wrong.
  public var reason: Reason
  /// The file or directory concerned.
  public var file: String
  /// The tensor concerned, if one is.
  public var tensor: TensorName?
  /// What the user can do.
  public var remedy: String?

  /// The kinds of defect.
  public enum Reason: Sendable, Equatable {
    /// `config.json` names an architecture that isn't known.
    case unknownArchitecture(String)
    /// A key of a configuration file is missing.
    case missingKey(String)
    /// A key of a configuration file has a value that can't be used.
    case invalidValue(key: String, expected: String, found: String)
    /// The model or tokenizer uses something that isn't supported.
    case unsupported(feature: String, found: String)
    /// A tensor that the architecture needs isn't in the checkpoint.
    case missingTensor
    /// A tensor has another shape than the configuration says.
    case shapeMismatch(expected: Shape, found: Shape)
    /// A tensor has a dtype that can't be computed with.
    case dtype(found: DType)
    /// A token id is outside the vocabulary.
    case tokenOutOfRange(id: Int, vocabularySize: Int)
    /// The model computes NaN or infinity.
    case nonFinite(String)
    /// More tokens than the model was made for.
    case sequenceTooLong(tokens: Int, maximum: Int)
    /// A chat template has no place for a message of a conversation.
    case conversation(template: String, expected: String, found: String)
    /// A file of the model can't be read or isn't well formed.
    case storage(StorageError)
  }

  /// Makes an error.
  public init(
    _ reason: Reason, file: String, tensor: TensorName? = nil, remedy: String? = nil
  ) {
    self.reason = reason
    self.file = file
    self.tensor = tensor
    self.remedy = remedy
  }

  /// The error, taken apart for printing.
  public var diagnosis: Diagnosis {
    if case .storage(let error) = reason { return error.diagnosis }
    var location = file.escapedWhole
    if let tensor { location += ", tensor \(tensor)" }
    switch reason {
    case .invalidValue(_, let expected, let found), .conversation(_, let expected, let found):
      location += ", expected \(expected), found \(found.escapedShortened)"
    case .shapeMismatch(let expected, let found):
      location += ", expected \(expected), found \(found)"
    case .unsupported(_, let found): location += ", found \(found.escapedShortened)"
    case .unknownArchitecture, .missingKey, .missingTensor, .dtype, .tokenOutOfRange,
      .nonFinite, .sequenceTooLong, .storage:
      break
    }
    return Diagnosis(kind: .badInput, summary: summary, location: location, remedy: remedy)
  }

  private var summary: String {
    switch reason {
    case .unknownArchitecture(let name): "unknown architecture \(name.escapedShortened)"
    case .missingKey(let key): "the key \(key) is missing"
    case .invalidValue(let key, _, _): "the key \(key) has an unusable value"
    case .unsupported(let feature, _): "unsupported \(feature)"
    case .missingTensor: "a tensor that the architecture needs is missing"
    case .shapeMismatch: "a tensor's shape doesn't match the configuration"
    case .dtype(let found): "tensors of dtype \(found) can't be computed with"
    case .tokenOutOfRange(let id, let size): "token \(id) is outside the vocabulary of \(size)"
    case .sequenceTooLong(let tokens, let maximum):
      "\(tokens) tokens are more than the model's \(maximum)"
    case .conversation(let template, _, _):
      "the chat template \(template) can't write this conversation"
    case .nonFinite(let quantity): "the model's \(quantity) is NaN or infinite"
    case .storage(let error): error.diagnosis.summary
    }
  }
}
