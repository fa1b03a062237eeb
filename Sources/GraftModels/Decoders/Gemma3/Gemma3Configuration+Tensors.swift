public import GraftCore

extension Gemma3Configuration {
  /// The path of the decoder without its head.
  var base: String { isPartOfLarger ? "model.language_model" : "model" }

  /// The embedding table's name: `[vocabularySize, hiddenSize]`.
  public var embeddingName: TensorName { TensorName(base + ".embed_tokens.weight") }
  /// The output head's name when it isn't the embedding table.
  public var headName: TensorName { "lm_head.weight" }

  /// The path of a block.
  func block(_ layer: Int) -> String { "\(base).layers.\(layer)" }

  /// All linear projections in the order of the computation.
  public var linearModules: [LinearModule] {
    let projections = BlockProjection.gated(
      hidden: hiddenSize, queries: headCount * headDimension,
      keys: keyValueHeadCount * headDimension, intermediate: intermediateSize)
    return modules(of: projections, inBlocks: block) + headModules
  }

  /// Every tensor that the architecture reads, with its shape.
  public var tensors: [(name: TensorName, shape: Shape)] {
    var result: [(name: TensorName, shape: Shape)] = [
      (embeddingName, [vocabularySize, hiddenSize]),
      (TensorName(base + ".norm.weight"), [hiddenSize]),
    ]
    for module in linearModules {
      result.append((module.weight, [module.outputWidth, module.inputWidth]))
      if hasAttentionBias, module.path.contains(".self_attn.") {
        result.append((TensorName(module.path + ".bias"), [module.outputWidth]))
      }
    }
    for layer in 0..<layerCount {
      for norm in Self.blockNorms {
        result.append((TensorName("\(block(layer)).\(norm).weight"), [hiddenSize]))
      }
      for norm in ["q_norm", "k_norm"] {
        result.append((TensorName("\(block(layer)).self_attn.\(norm).weight"), [headDimension]))
      }
    }
    return result
  }

  private static let blockNorms = [
    "input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
    "post_feedforward_layernorm",
  ]

  /// Models with pictures were published as `language_model.model.…`, and are loaded as `model.language_model.…`.
  public func storedNames(of name: TensorName) -> [TensorName] {
    guard isPartOfLarger else { return [name] }
    let rest = name.text.replacing(
      "model.language_model.", with: "language_model.model.", maxReplacements: 1)
    return [name, rest == name.text ? TensorName("language_model." + rest) : TensorName(rest)]
  }
}
