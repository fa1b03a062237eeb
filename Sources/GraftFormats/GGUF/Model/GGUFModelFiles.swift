internal import GraftCore

/// Writes the small files of a model directory from what the metadata says.
struct GGUFModelFiles {
  let parameters: GGUFParameters
  let tokenizer: GGUFTokenizer?
  let dtype: DType
  let ids: [(key: String, value: JSONValue)]
  /// The tokens that end a turn or a message, and generation with it.
  let turns: [JSONValue]
  let sampling: [(key: String, value: JSONValue)]

  init(
    _ source: GGUFReader, _ parameters: GGUFParameters, _ tokenizer: GGUFTokenizer?, dtype: DType
  ) throws(StorageError) {
    self.parameters = parameters
    self.tokenizer = tokenizer
    self.dtype = dtype
    func token(_ key: String) throws(StorageError) -> JSONValue? {
      let keys = GGUFTokenizerKeys(source: source)
      return try keys.token(key, count: parameters.vocabulary).map { JSONValue($0) }
    }
    var ids: [(key: String, value: JSONValue)] = []
    for (key, name) in [
      ("bos_token_id", "bos_token_id"), ("eos_token_id", "eos_token_id"),
      ("padding_token_id", "pad_token_id"),
    ] {
      if let id = try token(key) { ids.append((name, id)) }
    }
    self.ids = ids
    turns = try [token("eot_token_id"), token("eom_token_id")].compactMap { $0 }
    sampling = GGUFSampling.members(of: source)
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

  /// What ends a turn or a message ends generation, too.
  private var generation: [(key: String, value: JSONValue)] {
    var ends: [JSONValue] = []
    for end in ids.filter({ $0.key == "eos_token_id" }).map(\.value) + turns
    where !ends.contains(end) {
      ends.append(end)
    }
    guard let first = ends.first else { return ids + sampling }
    var members = ids.filter { $0.key != "eos_token_id" }
    members.append(("eos_token_id", ends.count > 1 ? .array(ends) : first))
    return members.sorted { $0.key < $1.key } + sampling
  }

  private var config: JSONValue {
    switch parameters.architecture {
    case .llama, .qwen2, .qwen3: llama
    case .gemma3: gemma3
    case .gpt2: gpt2
    }
  }

  private func document(
    _ name: String, _ type: String, _ members: [(key: String, value: JSONValue)]
  ) -> JSONValue {
    let torch =
      switch dtype {
      case .f16: "float16"
      case .bf16: "bfloat16"
      default: "float32"
      }
    let first: [(key: String, value: JSONValue)] = [
      ("architectures", [.string(name)]), ("model_type", .string(type)),
    ]
    let last: [(key: String, value: JSONValue)] = [
      ("tie_word_embeddings", .bool(parameters.isTied)), ("torch_dtype", .string(torch)),
    ]
    return .object(JSONObject(members: first + members + last + ids))
  }

  /// What the members of the Llama family and Gemma say alike.
  private var sizes: [(key: String, value: JSONValue)] {
    [
      ("hidden_size", JSONValue(parameters.hidden)),
      ("intermediate_size", JSONValue(parameters.intermediate)),
      ("num_hidden_layers", JSONValue(parameters.layers)),
      ("num_attention_heads", JSONValue(parameters.heads)),
      ("num_key_value_heads", JSONValue(parameters.keyValueHeads)),
      ("head_dim", JSONValue(parameters.headWidth)),
      ("vocab_size", JSONValue(parameters.vocabulary)),
      ("max_position_embeddings", JSONValue(parameters.context)),
      ("rms_norm_eps", JSONValue(parameters.normEpsilon)),
      ("rope_theta", JSONValue(parameters.ropeTheta)),
      ("rope_scaling", parameters.ropeScaling.json ?? .null),
    ]
  }

  private var llama: JSONValue {
    let isMistral = parameters.architecture == .llama && parameters.slidingWindow != nil
    let (type, name) =
      switch parameters.architecture {
      case .qwen2: ("qwen2", "Qwen2")
      case .qwen3: ("qwen3", "Qwen3")
      case .llama, .gemma3, .gpt2: isMistral ? ("mistral", "Mistral") : ("llama", "Llama")
      }
    var members = sizes
    members.append(("hidden_act", "silu"))
    if parameters.architecture != .qwen2, !isMistral {
      members.append(("attention_bias", .bool(parameters.hasAttentionBias)))
    }
    if parameters.architecture == .llama, !isMistral {
      members.append(("mlp_bias", .bool(parameters.hasFeedForwardBias)))
    }
    if isMistral {
      members.append(("sliding_window", parameters.slidingWindow.map { JSONValue($0) } ?? .null))
    }
    return document(name + "ForCausalLM", type, members)
  }

  private var gemma3: JSONValue {
    let sliding = parameters.slidingLayers ?? []
    let layers: [JSONValue] = sliding.map {
      .string($0 ? "sliding_attention" : "full_attention")
    }
    return document(
      "Gemma3ForCausalLM", "gemma3_text",
      sizes + [
        ("hidden_activation", "gelu_pytorch_tanh"),
        ("query_pre_attn_scalar", JSONValue(parameters.gemmaQueryScalar)),
        ("rope_local_base_freq", JSONValue(parameters.localRopeTheta)),
        ("sliding_window", JSONValue(parameters.slidingWindow ?? parameters.context)),
        ("layer_types", .array(layers)), ("attention_bias", false),
      ])
  }

  private var gpt2: JSONValue {
    document(
      "GPT2LMHeadModel", "gpt2",
      [
        ("n_embd", JSONValue(parameters.hidden)), ("n_inner", JSONValue(parameters.intermediate)),
        ("n_layer", JSONValue(parameters.layers)), ("n_head", JSONValue(parameters.heads)),
        ("n_positions", JSONValue(parameters.context)),
        ("vocab_size", JSONValue(parameters.vocabulary)),
        ("layer_norm_epsilon", JSONValue(parameters.normEpsilon)),
        ("activation_function", "gelu_new"),
      ])
  }
}

extension GGUFParameters {
  /// What GGUF's readers divide Gemma 3's scores by the root of: a head's width, but for the model of 27 billion
  /// parameters, which they tell by its 62 layers.
  package var gemmaQueryScalar: Int { layers == 62 ? hidden / heads : headWidth }
}
