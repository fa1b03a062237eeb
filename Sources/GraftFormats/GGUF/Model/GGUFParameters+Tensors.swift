internal import GraftCore

/// A tensor that a model must have, with both its names.
struct GGUFWantedTensor {
  let source: TensorName
  let name: TensorName
  let shape: Shape
  let arrangement: GGUFArrangement
}

extension GGUFParameters {
  /// The stored tensors that the configuration says in other words: rotary frequencies.
  static func isAbsorbed(_ name: TensorName) -> Bool {
    name == "rope_freqs.weight" || name.hasSuffix(".attn_rot_embd.weight")
      || name.hasSuffix(".rope_freqs.weight")
  }

  /// Every tensor of the model, in the order of its layers.
  var tensors: [GGUFWantedTensor] {
    var wanted: [GGUFWantedTensor] = []
    func whole(
      _ source: String, _ name: String, _ shape: Shape, _ arrangement: GGUFArrangement = .same
    ) {
      wanted.append(
        GGUFWantedTensor(
          source: TensorName(source), name: TensorName(name), shape: shape, arrangement: arrangement
        ))
    }
    if architecture == .gpt2 {
      whole("token_embd.weight", "transformer.wte.weight", [vocabulary, hidden])
      whole("position_embd.weight", "transformer.wpe.weight", [context, hidden])
      for layer in 0..<layers { wanted += gpt2Block(layer) }
      whole("output_norm.weight", "transformer.ln_f.weight", [hidden])
      whole("output_norm.bias", "transformer.ln_f.bias", [hidden])
    } else {
      whole("token_embd.weight", "model.embed_tokens.weight", [vocabulary, hidden])
      for layer in 0..<layers { wanted += block(layer) }
      whole("output_norm.weight", "model.norm.weight", [hidden], norm)
    }
    if !isTied { whole("output.weight", "lm_head.weight", [vocabulary, hidden]) }
    return wanted
  }

  /// What GGUF does with the weights of norms.
  private var norm: GGUFArrangement { architecture == .gemma3 ? .plusOne : .same }

  private func block(_ layer: Int) -> [GGUFWantedTensor] {
    let order: GGUFArrangement =
      architecture == .llama ? .headRows(HeadRowOrder(headWidth: headWidth)) : .same
    let isGemma = architecture == .gemma3
    let queries = heads * headWidth
    let keys = keyValueHeads * headWidth
    func tensor(
      _ source: String, _ name: String, _ shape: Shape, _ arrangement: GGUFArrangement = .same
    ) -> GGUFWantedTensor {
      GGUFWantedTensor(
        source: TensorName("blk.\(layer).\(source)"),
        name: TensorName("model.layers.\(layer).\(name)"),
        shape: shape, arrangement: arrangement)
    }
    var tensors = [
      tensor("attn_norm.weight", "input_layernorm.weight", [hidden], norm),
      tensor("attn_q.weight", "self_attn.q_proj.weight", [queries, hidden], order),
      tensor("attn_k.weight", "self_attn.k_proj.weight", [keys, hidden], order),
      tensor("attn_v.weight", "self_attn.v_proj.weight", [keys, hidden]),
      tensor("attn_output.weight", "self_attn.o_proj.weight", [hidden, queries]),
      tensor(
        "ffn_norm.weight",
        isGemma ? "pre_feedforward_layernorm.weight" : "post_attention_layernorm.weight", [hidden],
        norm),
      tensor("ffn_gate.weight", "mlp.gate_proj.weight", [intermediate, hidden]),
      tensor("ffn_up.weight", "mlp.up_proj.weight", [intermediate, hidden]),
      tensor("ffn_down.weight", "mlp.down_proj.weight", [hidden, intermediate]),
    ]
    if hasAttentionBias {
      tensors += [
        tensor("attn_q.bias", "self_attn.q_proj.bias", [queries], order),
        tensor("attn_k.bias", "self_attn.k_proj.bias", [keys], order),
        tensor("attn_v.bias", "self_attn.v_proj.bias", [keys]),
      ]
      // Qwen 2 has none; the llama and Qwen 3 classes have all four or none.
      if architecture != .qwen2 {
        tensors.append(tensor("attn_output.bias", "self_attn.o_proj.bias", [hidden]))
      }
    }
    if hasFeedForwardBias {
      tensors += [
        tensor("ffn_gate.bias", "mlp.gate_proj.bias", [intermediate]),
        tensor("ffn_up.bias", "mlp.up_proj.bias", [intermediate]),
        tensor("ffn_down.bias", "mlp.down_proj.bias", [hidden]),
      ]
    }
    if architecture == .qwen3 || isGemma {
      tensors += [
        tensor("attn_q_norm.weight", "self_attn.q_norm.weight", [headWidth], norm),
        tensor("attn_k_norm.weight", "self_attn.k_norm.weight", [headWidth], norm),
      ]
    }
    if isGemma {
      tensors += [
        tensor("post_attention_norm.weight", "post_attention_layernorm.weight", [hidden], norm),
        tensor("post_ffw_norm.weight", "post_feedforward_layernorm.weight", [hidden], norm),
      ]
    }
    return tensors
  }

  /// GPT-2 stores the weights of its projections as W: [in, out], GGUF as every other model's.
  private func gpt2Block(_ layer: Int) -> [GGUFWantedTensor] {
    func tensor(
      _ source: String, _ name: String, _ shape: Shape, _ arrangement: GGUFArrangement = .same
    ) -> GGUFWantedTensor {
      GGUFWantedTensor(
        source: TensorName("blk.\(layer).\(source)"),
        name: TensorName("transformer.h.\(layer).\(name)"), shape: shape, arrangement: arrangement)
    }
    func norm(_ source: String, _ name: String) -> [GGUFWantedTensor] {
      ["weight", "bias"].map { tensor("\(source).\($0)", "\(name).\($0)", [hidden]) }
    }
    func linear(_ source: String, _ name: String, _ input: Int, _ output: Int) -> [GGUFWantedTensor]
    {
      [
        tensor(source + ".weight", name + ".weight", [input, output], .transposed),
        tensor(source + ".bias", name + ".bias", [output]),
      ]
    }
    return norm("attn_norm", "ln_1") + linear("attn_qkv", "attn.c_attn", hidden, 3 * hidden)
      + linear("attn_output", "attn.c_proj", hidden, hidden) + norm("ffn_norm", "ln_2")
      + linear("ffn_up", "mlp.c_fc", hidden, intermediate)
      + linear("ffn_down", "mlp.c_proj", intermediate, hidden)
  }
}
