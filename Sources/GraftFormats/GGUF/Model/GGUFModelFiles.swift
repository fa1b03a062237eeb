internal import GraftCore

/// Writes the small files of a model directory from what the metadata says.
struct GGUFModelFiles {
  let parameters: GGUFParameters
  let tokenizer: GGUFTokenizer?
  let dtype: DType
  let ids: [(key: String, value: JSONValue)]

  init(
    _ source: GGUFReader, _ parameters: GGUFParameters, _ tokenizer: GGUFTokenizer?, dtype: DType
  ) throws(StorageError) {
    self.parameters = parameters
    self.tokenizer = tokenizer
    self.dtype = dtype
    var ids: [(key: String, value: JSONValue)] = []
    for (key, name) in [
      ("bos_token_id", "bos_token_id"), ("eos_token_id", "eos_token_id"),
      ("padding_token_id", "pad_token_id"),
    ] {
      guard let id = source["tokenizer.ggml.\(key)"] else { continue }
      guard let id = id.int, id >= 0, id < parameters.vocabulary else {
        throw StorageError(
          .malformed(
            rule: "gguf M-6",
            expected: "tokenizer.ggml.\(key) below \(parameters.vocabulary)", found: id.description),
          file: source.path)
      }
      ids.append((name, JSONValue(id)))
    }
    self.ids = ids
  }

  var files: [GGUFModel.File] {
    get throws(StorageError) {
      var files = [
        file("config.json", config),
        file("generation_config.json", .object(JSONObject(members: generation))),
      ]
      if let tokenizer {
        files += [
          file("tokenizer.json", try tokenizer.json),
          file("tokenizer_config.json", tokenizer.config),
          file("special_tokens_map.json", .object(JSONObject(members: tokenizer.specialTokens))),
        ]
      }
      return files
    }
  }

  private func file(_ name: String, _ value: JSONValue) -> GGUFModel.File {
    GGUFModel.File(name: name, bytes: Array((value.serialized() + "\n").utf8))
  }

  /// A token that ends a turn ends generation too.
  private var generation: [(key: String, value: JSONValue)] {
    ids.map { member in
      guard member.key == "eos_token_id", let turn = tokenizer?.endOfTurn,
        JSONValue(turn) != member.value
      else { return member }
      return (member.key, [member.value, JSONValue(turn)])
    }
  }

  private var config: JSONValue {
    let isMistral = parameters.architecture == .llama && parameters.slidingWindow != nil
    let (type, name) =
      switch parameters.architecture {
      case .llama: isMistral ? ("mistral", "Mistral") : ("llama", "Llama")
      case .qwen2: ("qwen2", "Qwen2")
      case .qwen3: ("qwen3", "Qwen3")
      }
    let torch =
      switch dtype {
      case .f16: "float16"
      case .bf16: "bfloat16"
      default: "float32"
      }
    var members: [(key: String, value: JSONValue)] = [
      ("architectures", [.string(name + "ForCausalLM")]),
      ("model_type", .string(type)),
      ("hidden_size", JSONValue(parameters.hidden)),
      ("intermediate_size", JSONValue(parameters.intermediate)),
      ("num_hidden_layers", JSONValue(parameters.layers)),
      ("num_attention_heads", JSONValue(parameters.heads)),
      ("num_key_value_heads", JSONValue(parameters.keyValueHeads)),
      ("head_dim", JSONValue(parameters.headWidth)),
      ("hidden_act", "silu"),
      ("vocab_size", JSONValue(parameters.vocabulary)),
      ("max_position_embeddings", JSONValue(parameters.context)),
      ("rms_norm_eps", JSONValue(parameters.normEpsilon)),
      ("rope_theta", JSONValue(parameters.ropeTheta)),
      ("rope_scaling", parameters.ropeScaling ?? .null),
      ("tie_word_embeddings", .bool(parameters.isTied)),
      ("torch_dtype", .string(torch)),
    ]
    if parameters.architecture != .qwen2, !isMistral {
      members.append(("attention_bias", .bool(parameters.hasAttentionBias)))
    }
    if parameters.architecture == .llama, !isMistral {
      members.append(("mlp_bias", .bool(parameters.hasFeedForwardBias)))
    }
    if isMistral {
      members.append(("sliding_window", parameters.slidingWindow.map { JSONValue($0) } ?? .null))
    }
    return .object(JSONObject(members: members + ids))
  }
}
