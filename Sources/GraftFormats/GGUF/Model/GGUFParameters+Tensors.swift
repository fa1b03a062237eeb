internal import GraftCore

/// A tensor that a model must have, with both its names.
struct GGUFWantedTensor {
  let source: TensorName
  let name: TensorName
  let shape: Shape
  let order: HeadRowOrder?
}

extension GGUFParameters {
  /// The stored tensors that the configuration says in other words: rotary frequencies.
  static func isAbsorbed(_ name: TensorName) -> Bool {
    name == "rope_freqs.weight" || name.hasSuffix(".attn_rot_embd.weight")
      || name.hasSuffix(".rope_freqs.weight")
  }

  /// Every tensor of the model, in the order of its layers.
  var tensors: [GGUFWantedTensor] {
    var wanted = [
      whole("token_embd.weight", "model.embed_tokens.weight", [vocabulary, hidden])
    ]
    for layer in 0..<layers { wanted += block(layer) }
    wanted.append(whole("output_norm.weight", "model.norm.weight", [hidden]))
    if !isTied { wanted.append(whole("output.weight", "lm_head.weight", [vocabulary, hidden])) }
    return wanted
  }

  private func whole(_ source: String, _ name: String, _ shape: Shape) -> GGUFWantedTensor {
    GGUFWantedTensor(source: TensorName(source), name: TensorName(name), shape: shape, order: nil)
  }

  private func block(_ layer: Int) -> [GGUFWantedTensor] {
    let order = architecture == .llama ? HeadRowOrder(headWidth: headWidth) : nil
    let queries = heads * headWidth
    let keys = keyValueHeads * headWidth
    func tensor(
      _ source: String, _ name: String, _ shape: Shape, _ order: HeadRowOrder? = nil
    ) -> GGUFWantedTensor {
      GGUFWantedTensor(
        source: TensorName("blk.\(layer).\(source)"),
        name: TensorName("model.layers.\(layer).\(name)"),
        shape: shape, order: order)
    }
    var tensors = [
      tensor("attn_norm.weight", "input_layernorm.weight", [hidden]),
      tensor("attn_q.weight", "self_attn.q_proj.weight", [queries, hidden], order),
      tensor("attn_k.weight", "self_attn.k_proj.weight", [keys, hidden], order),
      tensor("attn_v.weight", "self_attn.v_proj.weight", [keys, hidden]),
      tensor("attn_output.weight", "self_attn.o_proj.weight", [hidden, queries]),
      tensor("ffn_norm.weight", "post_attention_layernorm.weight", [hidden]),
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
    if architecture == .qwen3 {
      tensors += [
        tensor("attn_q_norm.weight", "self_attn.q_norm.weight", [headWidth]),
        tensor("attn_k_norm.weight", "self_attn.k_norm.weight", [headWidth]),
      ]
    }
    return tensors
  }
}
