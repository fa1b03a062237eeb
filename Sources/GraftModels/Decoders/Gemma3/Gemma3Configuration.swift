public import GraftCore

/// The hyperparameters of a Gemma 3 text decoder, from a model directory's `config.json`.
///
/// Source: `Gemma3TextConfig` in transformers, versions 4 and 5, whose defaults stand for missing keys. Of a model that
/// sees pictures too (`gemma3`), the text decoder under `text_config` is taken.
public struct Gemma3Configuration: DecoderConfiguration, Equatable {
  /// The names of the architecture: text alone, and text with pictures.
  public static let architectureNames = ["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"]
  /// The values of `model_type`.
  public static let modelTypes = ["gemma3_text", "gemma3"]

  /// Tokens in the vocabulary: rows of the embedding table.
  public var vocabularySize: Int
  /// Width of the residual stream.
  public var hiddenSize: Int
  /// Width inside the feed-forward network.
  public var intermediateSize: Int
  /// Number of blocks.
  public var layerCount: Int
  /// Query heads.
  public var headCount: Int
  /// Key and value heads; each serves `headCount / keyValueHeadCount` query heads.
  public var keyValueHeadCount: Int
  /// Width of a head.
  public var headDimension: Int
  /// Scores are divided by its root.
  public var queryScalar: Double
  /// The ε inside the root of RMSNorm.
  public var normEpsilon: Float
  /// The frequencies of the layers that see everything.
  public var rotary: RotaryEmbedding
  /// The frequencies of the layers with a window.
  public var localRotary: RotaryEmbedding
  /// The tokens that a layer with a window sees, itself included.
  public var window: Int
  /// For each layer whether it has a window.
  public var isSliding: [Bool]
  /// The longest sequence that the model was made for.
  public var maximumPositions: Int
  /// Whether the output head is the embedding table.
  public var tiesEmbeddings: Bool
  /// Whether the attention's projections have biases.
  public var hasAttentionBias: Bool
  /// The token that begins a text, if the model has one.
  public var beginToken: Int?
  /// The tokens that end a text.
  public var endTokens: [Int]
  /// Whether the decoder is a part of a model that sees pictures, and its tensors are named so.
  public var isPartOfLarger: Bool
  /// Positions turn heads: there is no table to run out of.
  public var hasLearnedPositions: Bool { false }

  /// Reads a parsed `config.json`.
  ///
  /// - Throws: ``ModelError`` that names a missing key or an unsupported feature.
  public init(_ json: JSONValue, file: String) throws(ModelError) {
    let whole = ConfigurationKeys(json, file: file)
    isPartOfLarger = whole.isPresent("text_config")
    let keys = ConfigurationKeys(json["text_config"] ?? json, file: file)
    vocabularySize = try keys.positive("vocab_size", default: 262_208)
    hiddenSize = try keys.positive(
      "hidden_size", default: 2304, atMost: ConfigurationKeys.maximumWidth)
    intermediateSize = try keys.positive(
      "intermediate_size", default: 9216, atMost: ConfigurationKeys.maximumWidth)
    layerCount = try keys.positive(
      "num_hidden_layers", default: 26, atMost: ConfigurationKeys.maximumLayers)
    headCount = try keys.positive(
      "num_attention_heads", default: 8, atMost: ConfigurationKeys.maximumHeads)
    keyValueHeadCount = try keys.positive("num_key_value_heads", default: 4)
    guard headCount % keyValueHeadCount == 0 else {
      throw keys.invalid(
        "num_key_value_heads", expected: "a divisor of \(headCount)", found: "\(keyValueHeadCount)")
    }
    headDimension = try keys.positive(
      "head_dim", default: 256, atMost: ConfigurationKeys.maximumHeads)
    guard headDimension % 2 == 0 else {
      throw keys.invalid("head_dim", expected: "an even number", found: "\(headDimension)")
    }
    queryScalar = try keys.above("query_pre_attn_scalar", 0, default: 256)
    normEpsilon = Float(try keys.atLeastZero("rms_norm_eps", default: 1e-6))
    (rotary, localRotary) = try Self.rotaries(keys, headDimension: headDimension)
    window = try keys.positive("sliding_window", default: 4096)
    isSliding = try Self.slidingLayers(keys, count: layerCount)
    maximumPositions = try keys.positive("max_position_embeddings", default: 131_072)
    tiesEmbeddings = try keys.flag(
      "tie_word_embeddings", default: try whole.flag("tie_word_embeddings", default: true))
    hasAttentionBias = try keys.flag("attention_bias", default: false)
    let ends = whole.isPresent("eos_token_id") ? whole : keys
    endTokens = try ends.tokens("eos_token_id")
    beginToken = try (whole.isPresent("bos_token_id") ? whole : keys).tokens("bos_token_id").first
    try Self.refuseUnsupported(keys)
  }

  /// Both rotary embeddings: nested by kind of layer since transformers 5, under three keys before.
  private static func rotaries(
    _ keys: ConfigurationKeys, headDimension: Int
  ) throws(ModelError) -> (RotaryEmbedding, RotaryEmbedding) {
    let nested = keys.json["rope_parameters"]
    if let nested, nested["full_attention"] != nil || nested["sliding_attention"] != nil {
      let parts = ["full_attention", "sliding_attention"].map { nested[$0] ?? .null }
      return (
        try RotaryEmbedding(
          parameters: parts[0], file: keys.file, theta: 1e6, headDimension: headDimension),
        try RotaryEmbedding(
          parameters: parts[1], file: keys.file, theta: 1e4, headDimension: headDimension)
      )
    }
    return (
      try RotaryEmbedding(
        parameters: keys.json["rope_scaling"] ?? .null, file: keys.file,
        theta: try keys.number("rope_theta", default: 1e6), headDimension: headDimension),
      try RotaryEmbedding(
        parameters: .null, file: keys.file,
        theta: try keys.number("rope_local_base_freq", default: 1e4), headDimension: headDimension)
    )
  }

  /// `layer_types`, or every sixth (`sliding_window_pattern`) layer sees everything.
  private static func slidingLayers(
    _ keys: ConfigurationKeys, count: Int
  ) throws(ModelError) -> [Bool] {
    if let kinds = try keys.slidingLayers(count: count) { return kinds }
    let pattern = try keys.positive("sliding_window_pattern", default: 6)
    return (1...count).map { $0 % pattern != 0 }
  }

  private static func refuseUnsupported(_ keys: ConfigurationKeys) throws(ModelError) {
    let activation =
      keys.json["hidden_activation"]?.string ?? keys.json["hidden_act"]?.string
      ?? "gelu_pytorch_tanh"
    guard activation == "gelu_pytorch_tanh" else {
      throw keys.unsupported("activation", found: activation)
    }
    for key in ["final_logit_softcapping", "attn_logit_softcapping"] where keys.isPresent(key) {
      throw keys.unsupported("capping of logits", found: key)
    }
    if try keys.flag("use_bidirectional_attention", default: false) {
      throw keys.unsupported("attention to later tokens", found: "use_bidirectional_attention")
    }
    if keys.json["quantization_config"]?.object != nil {
      throw keys.unsupported("quantized weights", found: "quantization_config")
    }
  }
}
