internal import GraftCore
package import GraftGraph

extension LlamaConfiguration: DecoderArchitecture {
  package var rotaryEmbeddings: [RotaryEmbedding] { [rotary] }
  package var keyValueWidth: Int { keyValueHeadCount * headDimension }

  package func hiddenStates(
    _ run: DecoderRun, _ layers: Layers, in graph: inout Graph
  ) -> Value {
    let table = layers.table(embeddingName, in: &graph)
    var x = layers.narrow(graph.gather(table, run.tokens), in: &graph)
    for layer in 0..<layerCount {
      graph.beginBlock(Self.block(layer))
      x = block(layer, x, run, layers, in: &graph)
      graph.endBlock()
    }
    let normed = layers.rootMeanSquareNorm(
      x, "model.norm.weight", epsilon: normEpsilon, in: &graph)
    return layers.narrow(normed, in: &graph)
  }

  private func block(
    _ layer: Int, _ x: Value, _ run: DecoderRun, _ layers: Layers, in graph: inout Graph
  ) -> Value {
    let path = Self.block(layer)
    func norm(_ x: Value, _ name: String) -> Value {
      let normed = layers.rootMeanSquareNorm(
        x, TensorName("\(path).\(name).weight"), epsilon: normEpsilon, in: &graph)
      return layers.narrow(normed, in: &graph)
    }
    func linear(_ x: Value, _ name: String, dtype: DType) -> Value {
      layers.linear(x, "\(path).\(name)", dtype: dtype, in: &graph)
    }
    let stream = graph.cast(x, to: .f32)
    let attended = attention(layer, norm(stream, "input_layernorm"), run, layers, in: &graph)
    let dtype = layers.precision.dtype
    // The stream is f32, but what is added to it is rounded: the backward pass keeps half as much of it.
    let output = graph.cast(linear(attended, "self_attn.o_proj", dtype: dtype), to: .f32)
    let middle = graph.add(stream, output)
    let second = norm(middle, "post_attention_layernorm")
    let gate = graph.cast(linear(second, "mlp.gate_proj", dtype: dtype), to: .f32)
    let up = graph.cast(linear(second, "mlp.up_proj", dtype: dtype), to: .f32)
    let activated = graph.multiply(graph.multiply(gate, graph.sigmoid(gate)), up)
    let down = linear(layers.narrow(activated, in: &graph), "mlp.down_proj", dtype: dtype)
    return layers.narrow(graph.add(middle, graph.cast(down, to: .f32)), in: &graph)
  }

  private func attention(
    _ layer: Int, _ x: Value, _ run: DecoderRun, _ layers: Layers, in graph: inout Graph
  ) -> Value {
    let path = Self.block(layer) + ".self_attn"
    let dtype = layers.precision.dtype
    func heads(_ projection: String, _ normName: String, count: Int) -> Value {
      let projected = layers.linear(x, "\(path).\(projection)", dtype: dtype, in: &graph)
      var value = graph.reshape(
        graph.cast(projected, to: .f32), run.headShape(count, width: headDimension))
      if normalizesQueriesAndKeys {
        value = layers.rootMeanSquareNorm(
          value, TensorName("\(path).\(normName).weight"), epsilon: normEpsilon, in: &graph)
      }
      let turned = layers.rotated(value, by: run.rotations[0], in: &graph)
      return graph.reshape(
        layers.narrow(turned, in: &graph), [run.arrangement.tokenCount, count * headDimension])
    }
    let q = heads("q_proj", "q_norm", count: headCount)
    let k = heads("k_proj", "k_norm", count: keyValueHeadCount)
    let v = layers.narrow(
      layers.linear(x, path + ".v_proj", dtype: dtype, in: &graph), in: &graph)
    let shape = AttentionHeads(
      count: headCount, keyValueCount: keyValueHeadCount, width: headDimension,
      scale: 1 / Float(headDimension).squareRoot(), window: windows[layer])
    return layers.attention(layer, q, k, v, shape, run, in: &graph)
  }
}
