package import GraftCore
package import GraftGraph
internal import GraftKernels

/// Builds the computation of a BERT encoder: texts stand one after the other in one row of tokens.
///
/// A token sees all tokens of its own text and no others, so that no room is lost to padding.
package struct BERTGraph: Sendable {
  let configuration: BERTConfiguration
  private let layers: Layers

  package init(
    _ configuration: BERTConfiguration, weights: ModelWeights, precision: ComputePrecision
  ) {
    self.configuration = configuration
    layers = Layers(weights: weights, precision: precision)
  }

  /// Names of the inputs that runs bind: [tokens] each, i32.
  package enum Input {
    package static let tokens = DecoderGraph.Input.tokens
    package static let positions = DecoderGraph.Input.positions
    /// The number of each token's text, which never falls.
    package static let segments = DecoderGraph.Input.segments
    /// The kind of each token.
    package static let types: TensorName = "input.types"
  }

  /// Adds the encoder: [tokens, hidden], f32.
  package func hiddenStates(in graph: inout Graph, tokens: Int) -> Value {
    let segments = graph.input(Input.segments, .i32, [tokens])
    var sum: Value?
    for (name, input) in [
      ("word", Input.tokens), ("token_type", Input.types), ("position", Input.positions),
    ] {
      let table = layers.table(TensorName("embeddings.\(name)_embeddings.weight"), in: &graph)
      let rows = graph.cast(
        graph.gather(table, graph.input(input, .i32, [tokens])), to: .f32)
      sum = sum.map { graph.add($0, rows) } ?? rows
    }
    guard let sum else { preconditionFailure("there are three tables") }
    var x = norm(sum, "embeddings.LayerNorm", in: &graph)
    for layer in 0..<configuration.layerCount {
      graph.beginBlock(BERTConfiguration.block(layer))
      x = block(layer, x, segments, in: &graph)
      graph.endBlock()
    }
    return graph.cast(x, to: .f32)
  }

  /// Attention, then the feed-forward network; after each its input is added and the sum normalized.
  private func block(
    _ layer: Int, _ x: Value, _ segments: Value, in graph: inout Graph
  ) -> Value {
    let path = BERTConfiguration.block(layer)
    let dtype = layers.precision.dtype
    func linear(_ x: Value, _ name: String, dtype: DType) -> Value {
      layers.linear(x, "\(path).\(name)", dtype: dtype, in: &graph)
    }
    let heads = ["query", "key", "value"].map { name in
      layers.narrow(linear(x, "attention.self.\(name)", dtype: dtype), in: &graph)
    }
    let width = configuration.hiddenSize / configuration.headCount
    let shape = AttentionShape(
      batch: 1, sequence: graph.shape(of: x)[0], heads: configuration.headCount,
      keyValueHeads: configuration.headCount, headDim: width,
      scale: 1 / Float(width).squareRoot(), isCausal: false)
    let attended = graph.attention(heads[0], heads[1], heads[2], shape: shape, segments: segments)
    let first = graph.add(
      linear(attended, "attention.output.dense", dtype: .f32), graph.cast(x, to: .f32))
    let middle = norm(first, "\(path).attention.output.LayerNorm", in: &graph)
    let wide = graph.cast(linear(middle, "intermediate.dense", dtype: dtype), to: .f32)
    let activated = layers.narrow(
      layers.activated(wide, by: configuration.activation, in: &graph), in: &graph)
    let second = graph.add(
      linear(activated, "output.dense", dtype: .f32), graph.cast(middle, to: .f32))
    return norm(second, "\(path).output.LayerNorm", in: &graph)
  }

  private func norm(_ x: Value, _ path: String, in graph: inout Graph) -> Value {
    layers.narrow(
      layers.layerNorm(x, path, epsilon: configuration.normEpsilon, in: &graph), in: &graph)
  }
}
