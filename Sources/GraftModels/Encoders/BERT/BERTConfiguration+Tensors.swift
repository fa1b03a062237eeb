public import GraftCore

extension BERTConfiguration {
  /// The embedding table's name: `[vocabularySize, hiddenSize]`.
  public var embeddingName: TensorName { "embeddings.word_embeddings.weight" }

  /// The path of a block.
  static func block(_ layer: Int) -> String { "encoder.layer.\(layer)" }

  /// All linear projections in the order of the computation.
  public var linearModules: [LinearModule] {
    let shapes: [(String, Int, Int)] = [
      ("attention.self.query", hiddenSize, hiddenSize),
      ("attention.self.key", hiddenSize, hiddenSize),
      ("attention.self.value", hiddenSize, hiddenSize),
      ("attention.output.dense", hiddenSize, hiddenSize),
      ("intermediate.dense", intermediateSize, hiddenSize),
      ("output.dense", hiddenSize, intermediateSize),
    ]
    return (0..<layerCount).flatMap { layer in
      shapes.map { name, output, input in
        LinearModule(
          path: "\(Self.block(layer)).\(name)", outputWidth: output, inputWidth: input)
      }
    }
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
