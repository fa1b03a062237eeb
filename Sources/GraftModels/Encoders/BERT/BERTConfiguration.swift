public import GraftCore

/// The hyperparameters of a BERT encoder, from a model directory's `config.json`.
///
/// Source: Devlin et al., arXiv 1810.04805; `BertConfig` in transformers, versions 4 and 5.
public struct BERTConfiguration: ModelConfiguration, Equatable {
  /// Models that hold the encoder; what others put on top of it isn't read.
  public static let architectureNames = [
    "BertModel", "BertForMaskedLM", "BertForPreTraining", "BertForSequenceClassification",
    "BertForTokenClassification", "BertForQuestionAnswering", "BertForNextSentencePrediction",
  ]
  /// The value of `model_type`.
  public static let modelTypes = ["bert"]

  /// Tokens in the vocabulary: rows of the embedding table.
  public var vocabularySize: Int
  /// Width of the residual stream.
  public var hiddenSize: Int
  /// Width inside the feed-forward network.
  public var intermediateSize: Int
  /// Number of blocks.
  public var layerCount: Int
  /// Heads.
  public var headCount: Int
  /// Kinds of token: rows of the type table; texts alone are of kind 0.
  public var typeCount: Int
  /// The ε inside the root of LayerNorm.
  public var normEpsilon: Float
  /// The feed-forward network's activation.
  public var activation: Activation
  /// The longest sequence that the model was made for.
  public var maximumPositions: Int
  /// Each position has a learned row.
  public var hasLearnedPositions: Bool { true }

  /// Reads a parsed `config.json`.
  ///
  /// - Throws: ``ModelError`` that names a missing key or an unsupported feature.
  public init(_ json: JSONValue, file: String) throws(ModelError) {
    let keys = ConfigurationKeys(json, file: file)
    vocabularySize = try keys.positive("vocab_size")
    hiddenSize = try keys.positive("hidden_size", atMost: ConfigurationKeys.maximumWidth)
    intermediateSize = try keys.positive(
      "intermediate_size", atMost: ConfigurationKeys.maximumWidth)
    layerCount = try keys.positive("num_hidden_layers", atMost: ConfigurationKeys.maximumLayers)
    headCount = try keys.positive("num_attention_heads", atMost: ConfigurationKeys.maximumHeads)
    guard hiddenSize % headCount == 0 else {
      throw keys.invalid(
        "hidden_size", expected: "a multiple of \(headCount) heads", found: "\(hiddenSize)")
    }
    typeCount = try keys.positive("type_vocab_size", default: 2)
    normEpsilon = Float(try keys.atLeastZero("layer_norm_eps", default: 1e-12))
    activation = try Activation(keys, "hidden_act", default: "gelu")
    maximumPositions = try keys.positive(
      "max_position_embeddings", default: 512, atMost: ConfigurationKeys.maximumWidth)
    let positions = json["position_embedding_type"]?.string ?? "absolute"
    guard positions == "absolute" else {
      throw keys.unsupported("kind of positions", found: positions)
    }
    if try keys.flag("is_decoder", default: false) {
      throw keys.unsupported("BERT that predicts text", found: "is_decoder")
    }
  }
}
