public import GraftCore

/// A linear projection of a model: `y = x · Wᵀ`, the kind of module that adapters attach to.
public struct Projection: Sendable, Hashable {
  /// The path of the module, for example `model.layers.0.self_attn.q_proj`.
  public let path: String
  /// Rows of the weight.
  public let outputSize: Int
  /// Columns of the weight.
  public let inputSize: Int
  /// Whether this is the output head, which `all-linear` leaves out.
  public let isOutputHead: Bool

  /// The name of the weight tensor, `[outputSize, inputSize]`.
  public var weight: TensorName { TensorName(path + ".weight") }
}

extension LlamaConfiguration {
  /// The embedding table's name: `[vocabularySize, hiddenSize]`.
  public static let embeddingName: TensorName = "model.embed_tokens.weight"

  /// The output head's name when it isn't the embedding table.
  public static let headName: TensorName = "lm_head.weight"

  /// The tensor that serves as output head.
  public var outputHead: TensorName { tiesEmbeddings ? Self.embeddingName : Self.headName }

  /// The path of a block.
  static func block(_ layer: Int) -> String { "model.layers.\(layer)" }

  /// All linear projections in the order of the computation.
  public var projections: [Projection] {
    let queries = headCount * headDimension
    let keys = keyValueHeadCount * headDimension
    let shapes: [(String, Int, Int)] = [
      ("self_attn.q_proj", queries, hiddenSize), ("self_attn.k_proj", keys, hiddenSize),
      ("self_attn.v_proj", keys, hiddenSize), ("self_attn.o_proj", hiddenSize, queries),
      ("mlp.gate_proj", intermediateSize, hiddenSize),
      ("mlp.up_proj", intermediateSize, hiddenSize),
      ("mlp.down_proj", hiddenSize, intermediateSize),
    ]
    var modules = (0..<layerCount).flatMap { layer in
      shapes.map { name, output, input in
        Projection(
          path: "\(Self.block(layer)).\(name)", outputSize: output, inputSize: input,
          isOutputHead: false)
      }
    }
    if !tiesEmbeddings {
      modules.append(
        Projection(
          path: "lm_head", outputSize: vocabularySize, inputSize: hiddenSize, isOutputHead: true))
    }
    return modules
  }

  /// Every tensor that the architecture reads, with its shape.
  public var tensors: [(name: TensorName, shape: Shape)] {
    var result: [(name: TensorName, shape: Shape)] = [
      (Self.embeddingName, [vocabularySize, hiddenSize]), ("model.norm.weight", [hiddenSize]),
    ]
    for module in projections {
      result.append((module.weight, [module.outputSize, module.inputSize]))
      if hasBias(module) {
        result.append((TensorName(module.path + ".bias"), [module.outputSize]))
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
  func hasBias(_ module: Projection) -> Bool {
    if module.isOutputHead { return false }
    if module.path.contains(".mlp.") { return hasFeedForwardBias }
    return module.path.hasSuffix(".o_proj") ? hasOutputBias : hasQueryKeyValueBias
  }
}
