public import GraftCore

/// The hyperparameters of a decoder of the Llama family, from a model directory's `config.json`.
///
/// Source: the configuration classes of Llama, Mistral, Qwen2 and Qwen3 in transformers, versions 4 and 5.
public struct LlamaConfiguration: DecoderConfiguration, Equatable {
  /// The members of the family, by the name that `config.json` gives under `architectures`.
  public enum Member: String, Sendable, CaseIterable {
    case llama = "LlamaForCausalLM"
    case mistral = "MistralForCausalLM"
    case qwen2 = "Qwen2ForCausalLM"
    case qwen3 = "Qwen3ForCausalLM"

    /// The member's `model_type`.
    var modelType: String {
      switch self {
      case .llama: "llama"
      case .mistral: "mistral"
      case .qwen2: "qwen2"
      case .qwen3: "qwen3"
      }
    }
  }

  /// The names of the members.
  public static var architectureNames: [String] { Member.allCases.map(\.rawValue) }
  /// The types of the members.
  public static var modelTypes: [String] { Member.allCases.map(\.modelType) }
  /// Positions turn heads: there is no table to run out of.
  public var hasLearnedPositions: Bool { false }

  /// Which member.
  public var member: Member
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
  /// The ε inside the root of RMSNorm.
  public var normEpsilon: Float
  /// The rotary embedding's frequencies.
  public var rotary: RotaryEmbedding
  /// The longest sequence that the model was made for.
  public var maximumPositions: Int
  /// Whether the output head is the embedding table.
  public var tiesEmbeddings: Bool
  /// Whether q, k and v have biases.
  public var hasQueryKeyValueBias: Bool
  /// Whether the attention's output projection has a bias.
  public var hasOutputBias: Bool
  /// Whether the feed-forward projections have biases.
  public var hasFeedForwardBias: Bool
  /// Whether queries and keys are normalized per head (Qwen3).
  public var normalizesQueriesAndKeys: Bool
  /// For each layer the tokens that a token sees, itself included; nil for all before it.
  public var windows: [Int?]
  /// The token that begins a text, if the model has one.
  public var beginToken: Int?
  /// The tokens that end a text.
  public var endTokens: [Int]

  /// Reads a parsed `config.json`.
  ///
  /// - Throws: ``ModelError`` that names an unknown architecture, a missing key or an unsupported feature.
  public init(_ json: JSONValue, file: String) throws(ModelError) {
    let keys = ConfigurationKeys(json, file: file)
    member = try Self.member(keys)
    vocabularySize = try keys.positive("vocab_size")
    hiddenSize = try keys.positive("hidden_size", atMost: ConfigurationKeys.maximumWidth)
    intermediateSize = try keys.positive(
      "intermediate_size", atMost: ConfigurationKeys.maximumWidth)
    layerCount = try keys.positive("num_hidden_layers", atMost: ConfigurationKeys.maximumLayers)
    headCount = try keys.positive("num_attention_heads", atMost: ConfigurationKeys.maximumHeads)
    keyValueHeadCount = try keys.positive("num_key_value_heads", default: headCount)
    guard headCount % keyValueHeadCount == 0 else {
      throw keys.invalid(
        "num_key_value_heads", expected: "a divisor of \(headCount)", found: "\(keyValueHeadCount)")
    }
    if keys.isPresent("head_dim") {
      headDimension = try keys.positive("head_dim", atMost: ConfigurationKeys.maximumHeads)
    } else {
      guard hiddenSize % headCount == 0 else {
        throw keys.invalid(
          "hidden_size", expected: "a multiple of \(headCount) heads", found: "\(hiddenSize)")
      }
      headDimension = hiddenSize / headCount
    }
    guard headDimension % 2 == 0 else {
      throw keys.invalid("head_dim", expected: "an even number", found: "\(headDimension)")
    }
    normEpsilon = Float(try keys.atLeastZero("rms_norm_eps", default: 1e-6))
    maximumPositions = try keys.positive("max_position_embeddings", default: 2048)
    rotary = try RotaryEmbedding(keys, headDimension: headDimension)
    tiesEmbeddings = try keys.flag("tie_word_embeddings", default: false)
    let attentionBias = try keys.flag("attention_bias", default: false)
    hasQueryKeyValueBias = member == .qwen2 || attentionBias
    hasOutputBias = member != .qwen2 && attentionBias
    hasFeedForwardBias = try keys.flag("mlp_bias", default: false)
    normalizesQueriesAndKeys = member == .qwen3
    beginToken = try keys.tokens("bos_token_id").first
    endTokens = try keys.tokens("eos_token_id")
    windows = try Self.windows(member, keys, count: layerCount)
    try Self.refuseUnsupported(keys)
  }

  private static func member(_ keys: ConfigurationKeys) throws(ModelError) -> Member {
    let name = keys.json["architectures"]?[0]?.string
    let type = keys.json["model_type"]?.string
    guard
      let member = Member.allCases.first(where: { $0.rawValue == name ?? "" })
        ?? Member.allCases.first(where: { name == nil && $0.modelType == type })
    else {
      guard let found = name ?? type else { throw keys.missing("architectures") }
      throw ModelError(
        .unknownArchitecture(found), file: keys.file,
        remedy: "known are " + architectureNames.joined(separator: ", "))
    }
    return member
  }

  /// Mistral's layers all have the window, Qwen's those from `max_window_layers` on, or those that `layer_types` says.
  private static func windows(
    _ member: Member, _ keys: ConfigurationKeys, count: Int
  ) throws(ModelError) -> [Int?] {
    let all = [Int?](repeating: nil, count: count)
    guard keys.isPresent("sliding_window") else { return all }
    let window = try keys.positive("sliding_window")
    switch member {
    case .llama: return all
    case .mistral: return all.map { _ in window }
    case .qwen2, .qwen3:
      guard try keys.flag("use_sliding_window", default: false) else { return all }
      if let kinds = try keys.slidingLayers(count: count) { return kinds.map { $0 ? window : nil } }
      let first = keys.json["max_window_layers"]?.int ?? 28
      return (0..<count).map { $0 >= first ? window : nil }
    }
  }

  private static func refuseUnsupported(_ keys: ConfigurationKeys) throws(ModelError) {
    let activation = keys.json["hidden_act"]?.string ?? "silu"
    guard activation == "silu" || activation == "swish" else {
      throw keys.unsupported("activation", found: activation)
    }
    if keys.json["quantization_config"]?.object != nil {
      throw keys.unsupported("quantized weights", found: "quantization_config")
    }
  }
}
