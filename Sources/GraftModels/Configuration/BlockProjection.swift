internal import GraftCore

/// A linear projection that every block of a model has.
struct BlockProjection {
  /// The path below the block.
  let path: String
  let outputWidth: Int
  let inputWidth: Int

  init(_ path: String, _ outputWidth: Int, _ inputWidth: Int) {
    self.path = path
    self.outputWidth = outputWidth
    self.inputWidth = inputWidth
  }

  /// Attention in which keys and values may have fewer heads than queries, and a gated feed-forward network, under the
  /// names that Llama gave them.
  static func gated(
    hidden: Int, queries: Int, keys: Int, intermediate: Int
  ) -> [BlockProjection] {
    [
      BlockProjection("self_attn.q_proj", queries, hidden),
      BlockProjection("self_attn.k_proj", keys, hidden),
      BlockProjection("self_attn.v_proj", keys, hidden),
      BlockProjection("self_attn.o_proj", hidden, queries),
      BlockProjection("mlp.gate_proj", intermediate, hidden),
      BlockProjection("mlp.up_proj", intermediate, hidden),
      BlockProjection("mlp.down_proj", hidden, intermediate),
    ]
  }
}

extension ModelConfiguration {
  /// The projections of all blocks as modules, in the order of the computation.
  func modules(
    of projections: [BlockProjection], inBlocks block: (Int) -> String,
    isStoredTransposed: Bool = false
  ) -> [LinearModule] {
    (0..<layerCount).flatMap { layer in
      projections.map {
        LinearModule(
          path: "\(block(layer)).\($0.path)", outputWidth: $0.outputWidth,
          inputWidth: $0.inputWidth, isStoredTransposed: isStoredTransposed)
      }
    }
  }
}

extension DecoderConfiguration {
  /// The output head as a module; none where it is the embedding table.
  var headModules: [LinearModule] {
    guard !tiesEmbeddings else { return [] }
    return [
      LinearModule(
        path: "lm_head", outputWidth: vocabularySize, inputWidth: hiddenSize, isOutputHead: true)
    ]
  }
}
