internal import GraftModels

extension GGUFKeyTable {
  /// `config.json` of a model that GGUF has an architecture for; the text model of a larger one stands below `text_config`.
  static func configuration(_ model: any DecoderArchitecture) -> GGUFKeyTable {
    switch model {
    case let llama as LlamaConfiguration:
      return shared.adding(sizes).adding(llamaFamily).adding(member(llama.member))
    case let gemma as Gemma3Configuration:
      let text = shared.adding(sizes).adding(gemma3)
      return gemma.isPartOfLarger
        ? shared.adding(GGUFKeyTable(nested: ["text_config": text])) : text
    case is GPT2Configuration: return shared.adding(gpt2)
    default: return shared
    }
  }

  // MARK: - What all have

  private static let shared = GGUFKeyTable(
    held: [
      "architectures", "model_type", "dtype", "torch_dtype", "vocab_size", "tie_word_embeddings",
      "bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id",
    ],
    free: origins.union(training).union(running).union(otherTasks).union(sampling),
    off: [
      "add_cross_attention", "is_decoder", "is_encoder_decoder", "rope_interleaved",
      "tie_encoder_decoder", "use_bidirectional_attention", "use_mrope", "use_sliding_window",
      "attention_bias", "mlp_bias",
    ],
    usual: ["partial_rotary_factor": 1]
  ).adding(bareGeneration)

  private static let origins: Set<String> = [
    "_name_or_path", "_commit_hash", "transformers_version", "transformers.js_config",
    "unsloth_fixed", "unsloth_version", "is_llama_config",
  ]

  private static let training: Set<String> = [
    "initializer_range", "attention_dropout", "hidden_dropout", "attn_pdrop", "embd_pdrop",
    "resid_pdrop", "gradient_checkpointing", "pretraining_tp",
  ]

  private static let running: Set<String> = [
    "_attn_implementation", "_attn_implementation_autoset", "attn_implementation",
    "reorder_and_upcast_attn", "chunk_size_feed_forward", "torchscript", "use_bfloat16",
    "tf_legacy_loss", "return_dict", "use_return_dict", "tokenizer_class",
  ]

  private static let otherTasks: Set<String> = [
    "task_specific_params", "prefix", "finetuning_task", "problem_type", "id2label", "label2id",
    "num_labels", "summary_activation", "summary_first_dropout", "summary_proj_to_labels",
    "summary_type", "summary_use_proj", "sep_token_id",
  ]

  /// What GGUF takes from `generation_config.json`, where programs look first.
  private static let sampling: Set<String> = [
    "temperature", "top_k", "top_p", "min_p", "repetition_penalty",
  ]

  // MARK: - Architectures

  /// What Llama and Gemma call alike.
  private static let sizes = GGUFKeyTable(
    held: [
      "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
      "num_key_value_heads", "head_dim", "max_position_embeddings", "attention_bias",
      "rms_norm_eps", "rope_theta", "hidden_act",
    ])

  private static let llamaFamily = GGUFKeyTable(
    held: ["mlp_bias"], nested: ["rope_parameters": rope, "rope_scaling": rope])

  private static func member(_ member: LlamaConfiguration.Member) -> GGUFKeyTable {
    switch member {
    case .llama: GGUFKeyTable()
    case .mistral: GGUFKeyTable(held: ["sliding_window"])
    case .qwen2, .qwen3:
      GGUFKeyTable(
        held: ["sliding_window", "use_sliding_window", "max_window_layers", "layer_types"])
    }
  }

  private static let gemma3 = GGUFKeyTable(
    held: [
      "hidden_activation", "rope_local_base_freq", "sliding_window", "layer_types",
      "sliding_window_pattern", "_sliding_window_pattern", "query_pre_attn_scalar",
    ],
    nested: [
      "rope_scaling": rope,
      "rope_parameters": GGUFKeyTable(
        nested: ["full_attention": rope, "sliding_attention": rope]),
    ])

  private static let gpt2 = GGUFKeyTable(
    held: [
      "n_embd", "n_inner", "n_layer", "n_head", "n_positions", "n_ctx", "activation_function",
      "layer_norm_epsilon", "scale_attn_weights", "scale_attn_by_inverse_layer_idx",
    ])

  /// Rotary embedding, of all layers or of one kind.
  private static let rope = GGUFKeyTable(
    held: [
      "rope_theta", "rope_type", "type", "factor", "low_freq_factor", "high_freq_factor",
      "original_max_position_embeddings",
    ],
    usual: ["partial_rotary_factor": 1])
}
