internal import GraftCore
package import GraftGraph

extension GPT2Configuration: DecoderArchitecture {
  package var rotaryEmbeddings: [RotaryEmbedding] { [] }
  package var keyValueWidth: Int { hiddenSize }
  package var splitCount: Int { 3 }

  package func hiddenStates(
    _ run: DecoderRun, _ layers: Layers, in graph: inout Graph
  ) -> Value {
    let words = graph.gather(layers.table(embeddingName, in: &graph), run.tokens)
    let places = graph.gather(
      layers.table(positionName, in: &graph),
      DecoderRun.positions(run.arrangement, in: &graph))
    var x = layers.narrow(
      graph.reshape(
        graph.add(
          graph.reshape(graph.cast(words, to: .f32), run.tokenShape(width: hiddenSize)),
          graph.cast(places, to: .f32)), [run.arrangement.tokenCount, hiddenSize]), in: &graph)
    for layer in 0..<layerCount {
      graph.beginBlock(Self.block(layer))
      x = block(layer, x, run, layers, in: &graph)
      graph.endBlock()
    }
    return layers.narrow(
      layers.layerNorm(x, "transformer.ln_f", epsilon: normEpsilon, in: &graph), in: &graph)
  }

  private func block(
    _ layer: Int, _ x: Value, _ run: DecoderRun, _ layers: Layers, in graph: inout Graph
  ) -> Value {
    let path = Self.block(layer)
    let dtype = layers.precision.dtype
    func norm(_ x: Value, _ name: String) -> Value {
      layers.narrow(
        layers.layerNorm(x, "\(path).\(name)", epsilon: normEpsilon, in: &graph), in: &graph)
    }
    func linear(_ x: Value, _ name: String, dtype: DType) -> Value {
      layers.linear(x, "\(path).\(name)", isStoredTransposed: true, dtype: dtype, in: &graph)
    }
    let stream = graph.cast(x, to: .f32)
    let fused = layers.narrow(linear(norm(stream, "ln_1"), "attn.c_attn", dtype: dtype), in: &graph)
    let parts = run.split(fused, in: &graph)
    let attended = layers.attention(
      layer, parts[0], parts[1], parts[2], heads(of: layer), run, in: &graph)
    let middle = graph.add(stream, linear(attended, "attn.c_proj", dtype: .f32))
    let wide = graph.cast(linear(norm(middle, "ln_2"), "mlp.c_fc", dtype: dtype), to: .f32)
    let activated = layers.narrow(layers.activated(wide, by: activation, in: &graph), in: &graph)
    let down = linear(activated, "mlp.c_proj", dtype: .f32)
    return layers.narrow(graph.add(middle, down), in: &graph)
  }

  private func heads(of layer: Int) -> AttentionHeads {
    let width = hiddenSize / headCount
    var scale: Float = scalesScores ? 1 / Float(width).squareRoot() : 1
    if scalesByLayer { scale /= Float(layer + 1) }
    return AttentionHeads(
      count: headCount, keyValueCount: headCount, width: width, scale: scale, window: nil)
  }
}
