internal import GraftCore

extension GGUFParameters {
  /// How a key of the architecture, without its prefix, stands to `config.json`.
  ///
  /// - Parameter known: ``knownKeys``, of which a file asks often.
  func standing(
    of key: String, _ value: GGUFValue, known: Set<String>
  ) -> GGUFOmissions.Standing {
    if known.contains(key) || isUsual(value, of: key) { return .held }
    return Self.bookkeeping.contains(key) ? .bookkeeping : .lost
  }

  /// Whether a key says what would be so without it.
  private func isUsual(_ value: GGUFValue, of key: String) -> Bool {
    if let flag = value.bool { return Self.usualFlags[key] == flag }
    if let number = value.int, Self.headWidths.contains(key) { return number == headWidth }
    if key == "vocab_size" { return value.int == vocabulary }
    guard let number = value.double ?? value.int.map({ Double($0) }) else { return false }
    if key == "attention.scale", number != 0 {
      let width = architecture == .gemma3 ? gemmaQueryScalar : headWidth
      return abs(number * Double(width).squareRoot() - 1) < 1e-6
    }
    return Self.usualNumbers[key]?.contains(number) == true
  }

  // MARK: - Tables

  /// What the configuration says, or what is refused.
  var knownKeys: Set<String> {
    let sizes: Set<String> = [
      "block_count", "context_length", "embedding_length", "feed_forward_length",
      "attention.head_count", "attention.head_count_kv", "attention.key_length",
      "attention.value_length", "rope.dimension_count", "rope.freq_base", "expert_count",
    ]
    let scaling: Set<String> =
      switch ropeScaling {
      case .none, .llama3: []
      case .linear: ["rope.scaling.type", "rope.scaling.factor"]
      case .yarn:
        ["rope.scaling.type", "rope.scaling.factor", "rope.scaling.original_context_length"]
      }
    let rms: Set<String> = ["attention.layer_norm_rms_epsilon"]
    let window: Set<String> = ["attention.sliding_window"]
    switch architecture {
    case .llama: return sizes.union(scaling).union(rms).union(window)
    case .qwen2, .qwen3: return sizes.union(scaling).union(rms)
    case .gemma3:
      let layers: Set<String> = ["attention.sliding_window_pattern", "rope.freq_base_swa"]
      return sizes.union(scaling).union(rms).union(window).union(layers)
    case .gpt2: return sizes.union(["attention.layer_norm_epsilon"])
    }
  }

  /// Widths that say nothing where they are a head's.
  private static let headWidths: Set<String> = [
    "rope.dimension_count_swa", "attention.key_length_swa", "attention.value_length_swa",
  ]

  /// Switches as they stand in every model of these architectures.
  private static let usualFlags = [
    "attention.causal": true, "use_parallel_residual": false, "swin_norm": false,
  ]

  /// Numbers with which readers compute what they compute without them.
  private static let usualNumbers: [String: Set<Double>] = [
    "rope.scaling.factor": [0, 1], "rope.scale_linear": [0, 1], "rope.scaling.alpha": [0],
    "rope.scaling.attn_factor": [1], "rope.scaling.yarn_attn_factor": [1],
    "rope.scaling.yarn_ext_factor": [-1, 1], "rope.scaling.yarn_beta_fast": [32],
    "rope.scaling.yarn_beta_slow": [1], "rope.scaling.yarn_log_multiplier": [0],
    "logit_scale": [0, 1], "residual_scale": [0, 1], "embedding_scale": [0, 1],
    "attention.scale": [0], "attention.clamp_kqv": [0], "attention.max_alibi_bias": [0],
    "attention.sliding_window": [0], "attention.shared_kv_layers": [0],
    "attention.temperature_scale": [0], "attention.temperature_length": [0],
    "attn_logit_softcapping": [0], "final_logit_softcapping": [0], "pooling_type": [0],
    "expert_used_count": [0], "expert_shared_count": [0], "leading_dense_block_count": [0],
    "nextn_predict_layers": [0],
  ]

  /// What the tensors tell, how files were made, and what these architectures' readers don't look at.
  private static let bookkeeping: Set<String> = [
    "vocab_size", "tensor_data_layout", "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon", "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
  ]
}
