public import GraftCore

/// The hyperparameters of a model of some architecture, from its `config.json`: what every architecture has.
public protocol ModelConfiguration: Sendable {
  /// The names that `config.json` gives under `architectures` for the models that this type describes.
  static var architectureNames: [String] { get }
  /// The values of `model_type` that this type describes, for a `config.json` without `architectures`.
  static var modelTypes: [String] { get }

  /// Reads a parsed `config.json`.
  ///
  /// - Throws: ``ModelError`` that names a missing key or an unsupported feature.
  init(_ json: JSONValue, file: String) throws(ModelError)

  /// Tokens in the vocabulary: rows of the embedding table.
  var vocabularySize: Int { get }
  /// Width of the residual stream.
  var hiddenSize: Int { get }
  /// Number of blocks.
  var layerCount: Int { get }
  /// The longest sequence that the model was made for.
  var maximumPositions: Int { get }
  /// Whether positions past ``maximumPositions`` can't be computed, because each has a learned row.
  var hasLearnedPositions: Bool { get }
  /// The embedding table's name: `[vocabularySize, hiddenSize]`.
  var embeddingName: TensorName { get }
  /// All linear projections in the order of the computation.
  var linearModules: [LinearModule] { get }
  /// Every tensor that the architecture reads, with its shape.
  var tensors: [(name: TensorName, shape: Shape)] { get }
  /// Tensors of the architecture that aren't read here, because nothing that is computed needs them.
  var unreadTensors: [TensorName] { get }

  /// The names under which checkpoints may hold a tensor, its own first.
  func storedNames(of name: TensorName) -> [TensorName]
}

extension ModelConfiguration {
  /// None.
  public var unreadTensors: [TensorName] { [] }

  /// Its own name alone.
  public func storedNames(of name: TensorName) -> [TensorName] { [name] }
}
