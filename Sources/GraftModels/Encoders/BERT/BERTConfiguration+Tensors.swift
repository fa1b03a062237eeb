public import GraftCore

extension BERTConfiguration {
  /// The embedding table's name: `[vocabularySize, hiddenSize]`.
  public var embeddingName: TensorName { "embeddings.word_embeddings.weight" }

  /// The path of a block.
  static func block(_ layer: Int) -> String { "encoder.layer.\(layer)" }

  /// All linear projections in the order of the computation.
  public var linearModules: [LinearModule] {
    let projections = [
      BlockProjection("attention.self.query", hiddenSize, hiddenSize),
      BlockProjection("attention.self.key", hiddenSize, hiddenSize),
      BlockProjection("attention.self.value", hiddenSize, hiddenSize),
      BlockProjection("attention.output.dense", hiddenSize, hiddenSize),
      BlockProjection("intermediate.dense", intermediateSize, hiddenSize),
      BlockProjection("output.dense", hiddenSize, intermediateSize),
    ]
    return modules(of: projections, inBlocks: Self.block)
  }

  /// Every tensor that the architecture reads, with its shape.
  public var tensors: [(name: TensorName, shape: Shape)] {
    var result: [(name: TensorName, shape: Shape)] = [
      (embeddingName, [vocabularySize, hiddenSize]),
      ("embeddings.position_embeddings.weight", [maximumPositions, hiddenSize]),
      ("embeddings.token_type_embeddings.weight", [typeCount, hiddenSize]),
    ]
    var norms = ["embeddings.LayerNorm"]
    for layer in 0..<layerCount {
      norms += ["attention.output", "output"].map { "\(Self.block(layer)).\($0).LayerNorm" }
    }
    for norm in norms {
      result.append((TensorName(norm + ".weight"), [hiddenSize]))
      result.append((TensorName(norm + ".bias"), [hiddenSize]))
    }
    for module in linearModules {
      result.append((module.weight, module.weightShape))
      result.append((TensorName(module.path + ".bias"), [module.outputWidth]))
    }
    return result
  }

  /// The pooler, from which other vectors than those of sentences are made.
  public var unreadTensors: [TensorName] { ["pooler.dense.weight", "pooler.dense.bias"] }

  /// Models with something on top of the encoder put `bert.` before its names; the first ones called a norm's weight
  /// gamma and its bias beta.
  public func storedNames(of name: TensorName) -> [TensorName] {
    let text = name.text
    let old =
      text.contains(".LayerNorm.")
      ? text.replacing(".weight", with: ".gamma").replacing(".bias", with: ".beta") : text
    return [text, "bert." + text, old, "bert." + old].map { TensorName($0) }
  }
}
