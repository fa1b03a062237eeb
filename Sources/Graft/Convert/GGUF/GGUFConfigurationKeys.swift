internal import GraftCore

/// The keys of a model's `config.json` that a GGUF file doesn't say in its own words.
///
/// Keys without a value say nothing, nor do those that only repeat what every model of these architectures has.
struct GGUFConfigurationKeys {
  /// Those that nothing depends on of what a model computes.
  private(set) var bookkeeping: [String] = []
  /// All others, which may change what is computed.
  private(set) var others: [String] = []

  /// Looks through a configuration of an architecture that GGUF has.
  init(_ configuration: JSONValue) { add(configuration, below: "") }

  private mutating func add(_ value: JSONValue, below prefix: String) {
    for (key, value) in value.object?.members ?? [] {
      if Self.nested.contains(key), value.object != nil {
        add(value, below: prefix + key + ".")
      } else if Self.held.contains(key) || Self.isUsual(value, of: key) {
        continue
      } else if Self.free.contains(key) {
        bookkeeping.append(prefix + key)
      } else {
        others.append(prefix + key)
      }
    }
  }

  /// Whether a key says no more than would be so without it.
  private static func isUsual(_ value: JSONValue, of key: String) -> Bool {
    if value.isNull || value.array?.isEmpty == true || value.object?.members.isEmpty == true {
      return true
    }
    return value.bool == false && switches.contains(key)
      || key == "partial_rotary_factor" && value.double == 1
  }

  // MARK: - Tables

  /// Objects whose members are looked at one by one.
  private static let nested: Set<String> = [
    "text_config", "rope_parameters", "rope_scaling", "full_attention", "sliding_attention",
  ]

  /// What GGUF's keys say, or the shapes and types of its tensors, or what is refused where it isn't as GGUF's readers take it.
  private static let held: Set<String> = [
    "architectures", "model_type", "dtype", "torch_dtype", "vocab_size", "tie_word_embeddings",
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "max_position_embeddings", "attention_bias", "mlp_bias",
    "hidden_act", "hidden_activation", "activation_function", "rms_norm_eps",
    "layer_norm_epsilon", "rope_theta", "rope_local_base_freq", "rope_type", "type", "factor",
    "low_freq_factor", "high_freq_factor", "original_max_position_embeddings", "sliding_window",
    "use_sliding_window", "max_window_layers", "layer_types", "sliding_window_pattern",
    "_sliding_window_pattern", "query_pre_attn_scalar", "n_embd", "n_inner", "n_layer", "n_head",
    "n_positions", "n_ctx", "scale_attn_weights", "scale_attn_by_inverse_layer_idx",
    "bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id",
  ]

  /// What is off in every model of these architectures.
  private static let switches: Set<String> = [
    "add_cross_attention", "is_decoder", "is_encoder_decoder", "rope_interleaved",
    "tie_encoder_decoder", "use_bidirectional_attention", "use_mrope",
  ]

  /// Where a model is from, how it is trained, run and sampled by other programs, and heads for other tasks.
  private static let free: Set<String> = [
    "_name_or_path", "_commit_hash", "transformers_version", "transformers.js_config",
    "unsloth_fixed", "unsloth_version", "is_llama_config", "task_specific_params", "prefix",
    "finetuning_task", "problem_type", "id2label", "label2id", "num_labels", "tokenizer_class",
    "initializer_range", "attention_dropout", "hidden_dropout", "attn_pdrop", "embd_pdrop",
    "resid_pdrop", "gradient_checkpointing", "pretraining_tp", "use_cache",
    "cache_implementation", "_attn_implementation", "_attn_implementation_autoset",
    "attn_implementation", "reorder_and_upcast_attn", "chunk_size_feed_forward", "torchscript",
    "use_bfloat16", "tf_legacy_loss", "return_dict", "use_return_dict", "output_attentions",
    "output_hidden_states", "output_scores", "return_dict_in_generate", "summary_activation",
    "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj",
    "sep_token_id", "decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id",
    "do_sample", "temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty",
    "length_penalty", "diversity_penalty", "exponential_decay_length_penalty", "early_stopping",
    "num_beams", "num_beam_groups", "num_return_sequences", "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size", "bad_words_ids", "suppress_tokens", "begin_suppress_tokens",
    "remove_invalid_values", "max_length", "max_new_tokens", "min_length",
  ]
}
