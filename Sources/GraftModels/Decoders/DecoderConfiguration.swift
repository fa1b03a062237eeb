public import GraftCore
package import GraftGraph

/// The hyperparameters of a model that predicts the next token.
public protocol DecoderConfiguration: ModelConfiguration {
  /// The token that begins a text, if the model has one.
  var beginToken: Int? { get }
  /// The tokens that end a text.
  var endTokens: [Int] { get }
  /// Whether the output head is the embedding table.
  var tiesEmbeddings: Bool { get }
  /// The output head's name when it isn't the embedding table.
  var headName: TensorName { get }
  /// The last components of the modules that an adapter updates where nothing else is said, as PEFT chooses them.
  var usualTargets: [String] { get }
}

extension DecoderConfiguration {
  /// Queries and values.
  public var usualTargets: [String] { ["q_proj", "v_proj"] }

  /// The tensor that serves as output head: `[vocabularySize, hiddenSize]`.
  public var outputHead: TensorName { tiesEmbeddings ? embeddingName : headName }
}

/// How the decoders of a family compute; ``DecoderGraph`` is what the rest of the program sees.
package protocol DecoderArchitecture: DecoderConfiguration {
  /// The rotary embeddings whose tables the graph reads, in the order of their inputs' numbers.
  var rotaryEmbeddings: [RotaryEmbedding] { get }
  /// Columns of the keys, and of the values, that a block puts into its caches.
  var keyValueWidth: Int { get }

  /// The parts that a fused projection makes side by side; 0 without one.
  var splitCount: Int { get }

  /// Adds the decoder up to its final norm: [tokens, hidden] in the precision's dtype.
  func hiddenStates(_ run: DecoderRun, _ layers: Layers, in graph: inout Graph) -> Value
}

extension DecoderArchitecture {
  package var splitCount: Int { 0 }
}
