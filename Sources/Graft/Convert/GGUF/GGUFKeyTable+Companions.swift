internal import GraftFormats

extension GGUFKeyTable {
  /// `generation_config.json`.
  static let generation = GGUFKeyTable(
    held: GGUFSampling.names.union(["bos_token_id", "eos_token_id", "pad_token_id"])
  ).adding(bareGeneration)

  /// How generation goes, but for what GGUF has keys for: old configurations of models have it, too.
  static let bareGeneration = GGUFKeyTable(
    free: [
      "_from_model_config", "_commit_hash", "transformers_version", "do_sample", "max_length",
      "max_new_tokens", "max_time", "num_return_sequences", "use_cache", "cache_implementation",
      "cache_config", "low_memory", "prefill_chunk_size", "compile_config", "disable_compile",
      "return_dict_in_generate", "return_legacy_cache", "output_attentions",
      "output_hidden_states", "output_scores", "output_logits", "is_assistant",
      "num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold",
      "assistant_lookbehind", "target_lookbehind", "assistant_early_exit",
      "prompt_lookup_num_tokens", "max_matching_ngram_size", "decoder_start_token_id",
    ],
    off: ["early_stopping", "remove_invalid_values", "renormalize_logits", "token_healing"],
    usual: [
      "num_beams": 1, "num_beam_groups": 1, "length_penalty": 1, "diversity_penalty": 0,
      "min_length": 0, "min_new_tokens": 0, "typical_p": 1, "epsilon_cutoff": 0, "eta_cutoff": 0,
      "no_repeat_ngram_size": 0, "encoder_no_repeat_ngram_size": 0,
      "encoder_repetition_penalty": 1, "guidance_scale": 1, "penalty_alpha": 0,
    ])

  /// `tokenizer_config.json`, beside a `tokenizer.json` that says how text becomes tokens.
  ///
  /// - Parameter contextLength: What the model's configuration says of it.
  static func tokenizerSettings(contextLength: Int) -> GGUFKeyTable {
    GGUFKeyTable(
      held: [
        "add_bos_token", "add_eos_token", "add_prefix_space", "added_tokens_decoder",
        "chat_template",
      ],
      free: [
        "tokenizer_class", "model_max_length", "clean_up_tokenization_spaces", "legacy",
        "padding_side",
        "truncation_side", "errors", "spaces_between_special_tokens", "sp_model_kwargs",
        "use_default_system_prompt", "use_fast", "from_slow", "backend", "is_local",
        "name_or_path", "_commit_hash", "transformers_version", "special_tokens_map_file",
        "tokenizer_file", "vocab_file", "merges_file", "processor_class", "model_input_names",
        "return_token_type_ids", "vocab_size", "max_length", "stride", "padding", "truncation",
        "truncation_strategy", "pad_to_multiple_of", "pad_token_type_id", "response_schema",
        "model_specific_special_tokens", "unk_id",
      ],
      off: [
        "split_special_tokens", "add_sep_token", "do_lower_case", "clean_up_tokenization_spaces",
      ],
      usual: ["model_max_length": Double(contextLength)],
      usualTexts: ["tokenizer_class": "PreTrainedTokenizerFast"]
    ).adding(specialTokens)
  }

  /// `special_tokens_map.json`: the tokens by their roles, of which GGUF has keys for some.
  static let specialTokens = GGUFKeyTable(
    held: [
      "bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token",
    ],
    free: ["additional_special_tokens", "extra_special_tokens"],
    freeEndings: ["_token", "_token_id"])
}
