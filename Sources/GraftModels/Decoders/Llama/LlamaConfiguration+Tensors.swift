public import GraftCore

extension LlamaConfiguration {
  /// The embedding table's name: `[vocabularySize, hiddenSize]`.
  public var embeddingName: TensorName { "model.embed_tokens.weight" }

  /// The output head's name when it isn't the embedding table.
  public var headName: TensorName { "lm_head.weight" }

  /// The path of a block.
  static func block(_ layer: Int) -> String { "model.layers.\(layer)" }

  /// All linear projections in the order of the computation.
  public var linearModules: [LinearModule] {
    let projections = BlockProjection.gated(
      hidden: hiddenSize, queries: headCount * headDimension,
      keys: keyValueHeadCount * headDimension, intermediate: intermediateSize)
    return modules(of: projections, inBlocks: Self.block) + headModules
  }

  /// Every tensor that the architecture reads, with its shape.
  public var tensors: [(name: TensorName, shape: Shape)] {
    var result: [(name: TensorName, shape: Shape)] = [
      (embeddingName, [vocabularySize, hiddenSize]), ("model.norm.weight", [hiddenSize]),
    ]
    for module in linearModules {
      result.append((module.weight, [module.outputWidth, module.inputWidth]))
      if hasBias(module) {
        result.append((TensorName(module.path + ".bias"), [module.outputWidth]))
      }
    }
    for layer in 0..<layerCount {
      let block = Self.block(layer)
      result.append((TensorName(block + ".input_layernorm.weight"), [hiddenSize]))
      result.append((TensorName(block + ".post_attention_layernorm.weight"), [hiddenSize]))
      if normalizesQueriesAndKeys {
        result.append((TensorName(block + ".self_attn.q_norm.weight"), [headDimension]))
        result.append((TensorName(block + ".self_attn.k_norm.weight"), [headDimension]))
      }
    }
    return result
  }

  /// Whether a projection has a bias.
  func hasBias(_ module: LinearModule) -> Bool {
    if module.isOutputHead { return false }
    if module.path.contains(".mlp.") { return hasFeedForwardBias }
    return module.path.hasSuffix(".o_proj") ? hasOutputBias : hasQueryKeyValueBias
  }
}
