public import GraftCore

/// The hyperparameters of a GPT-2 decoder, from a model directory's `config.json`.
///
/// Source: `GPT2Config` in transformers, versions 4 and 5.
public struct GPT2Configuration: DecoderConfiguration, Equatable {
  /// The name of the architecture.
  public static let architectureNames = ["GPT2LMHeadModel"]
  /// The value of `model_type`.
  public static let modelTypes = ["gpt2"]

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
  /// The ε inside the root of LayerNorm.
  public var normEpsilon: Float
  /// Whether scores are divided by the root of a head's width.
  public var scalesScores: Bool
  /// Whether scores are divided by the number of their layer, from 1.
  public var scalesByLayer: Bool
  /// The feed-forward network's activation.
  public var activation: Activation
  /// The longest sequence that the model was made for.
  public var maximumPositions: Int
  /// Whether the output head is the embedding table.
  public var tiesEmbeddings: Bool
  /// The token that begins a text, if the model has one.
  public var beginToken: Int?
  /// The tokens that end a text.
  public var endTokens: [Int]
  /// Each position has a learned row.
  public var hasLearnedPositions: Bool { true }

  /// Reads a parsed `config.json`.
  ///
  /// - Throws: ``ModelError`` that names a missing key or an unsupported feature.
  public init(_ json: JSONValue, file: String) throws(ModelError) {
    let keys = ConfigurationKeys(json, file: file)
    vocabularySize = try keys.positive("vocab_size")
    hiddenSize = try keys.positive("n_embd", atMost: ConfigurationKeys.maximumWidth)
    intermediateSize = try keys.positive(
      "n_inner", default: 4 * hiddenSize, atMost: 4 * ConfigurationKeys.maximumWidth)
    layerCount = try keys.positive("n_layer", atMost: ConfigurationKeys.maximumLayers)
    headCount = try keys.positive("n_head", atMost: ConfigurationKeys.maximumHeads)
    guard hiddenSize % headCount == 0 else {
      throw keys.invalid(
        "n_embd", expected: "a multiple of \(headCount) heads", found: "\(hiddenSize)")
    }
    normEpsilon = Float(try keys.atLeastZero("layer_norm_epsilon", default: 1e-5))
    scalesScores = try keys.flag("scale_attn_weights", default: true)
    scalesByLayer = try keys.flag("scale_attn_by_inverse_layer_idx", default: false)
    activation = try Activation(keys, "activation_function", default: "gelu_new")
    maximumPositions = try keys.positive(
      "n_positions", default: 1024, atMost: ConfigurationKeys.maximumWidth)
    tiesEmbeddings = try keys.flag("tie_word_embeddings", default: true)
    beginToken = try keys.tokens("bos_token_id").first
    endTokens = try keys.tokens("eos_token_id")
    if try keys.flag("add_cross_attention", default: false) {
      throw keys.unsupported("attention to an encoder", found: "add_cross_attention")
    }
    if keys.json["quantization_config"]?.object != nil {
      throw keys.unsupported("quantized weights", found: "quantization_config")
    }
  }
}
