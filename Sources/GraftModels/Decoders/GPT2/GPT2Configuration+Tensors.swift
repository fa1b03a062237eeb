public import GraftCore

extension GPT2Configuration {
  /// The embedding table's name: `[vocabularySize, hiddenSize]`.
  public var embeddingName: TensorName { "transformer.wte.weight" }
  /// The output head's name when it isn't the embedding table.
  public var headName: TensorName { "lm_head.weight" }
  /// The table of learned positions: `[maximumPositions, hiddenSize]`.
  var positionName: TensorName { "transformer.wpe.weight" }

  /// The path of a block.
  static func block(_ layer: Int) -> String { "transformer.h.\(layer)" }

  /// Queries, keys and values are one module.
  public var usualTargets: [String] { ["c_attn"] }

  /// The projections; GPT-2 stores their weights as W: [in, out].
  public var linearModules: [LinearModule] {
    let projections = [
      BlockProjection("attn.c_attn", 3 * hiddenSize, hiddenSize),
      BlockProjection("attn.c_proj", hiddenSize, hiddenSize),
      BlockProjection("mlp.c_fc", intermediateSize, hiddenSize),
      BlockProjection("mlp.c_proj", hiddenSize, intermediateSize),
    ]
    return modules(of: projections, inBlocks: Self.block, isStoredTransposed: true) + headModules
  }

  /// Every tensor that the architecture reads, with its shape.
  public var tensors: [(name: TensorName, shape: Shape)] {
    var result: [(name: TensorName, shape: Shape)] = [
      (embeddingName, [vocabularySize, hiddenSize]),
      (positionName, [maximumPositions, hiddenSize]),
    ]
    func norm(_ path: String) {
      for part in ["weight", "bias"] {
        result.append((TensorName("\(path).\(part)"), [hiddenSize]))
      }
    }
    norm("transformer.ln_f")
    for module in linearModules {
      result.append((module.weight, module.weightShape))
      if !module.isOutputHead {
        result.append((TensorName(module.path + ".bias"), [module.outputWidth]))
      }
    }
    for layer in 0..<layerCount {
      norm(Self.block(layer) + ".ln_1")
      norm(Self.block(layer) + ".ln_2")
    }
    return result
  }

  /// Models saved without their head, as the first ones were published, lack the first component of the names.
  public func storedNames(of name: TensorName) -> [TensorName] {
    let prefix = "transformer."
    return name.hasPrefix(prefix)
      ? [name, TensorName(String(name.text.dropFirst(prefix.count)))] : [name]
  }
}
