internal import GraftCore
package import GraftGraph

extension Gemma3Configuration: DecoderArchitecture {
  package var rotaryEmbeddings: [RotaryEmbedding] { [rotary, localRotary] }
  package var keyValueWidth: Int { keyValueHeadCount * headDimension }

  package func hiddenStates(
    _ run: DecoderRun, _ layers: Layers, in graph: inout Graph
  ) -> Value {
    let table = layers.table(embeddingName, in: &graph)
    let rows = graph.cast(graph.gather(table, run.tokens), to: .f32)
    let scale = graph.constant(embeddingScale(layers.precision))
    var x = layers.narrow(graph.multiply(rows, scale), in: &graph)
    for layer in 0..<layerCount {
      graph.beginBlock(block(layer))
      x = block(layer, x, run, layers, in: &graph)
      graph.endBlock()
    }
    let normed = layers.rootMeanSquareNorm(
      x, TensorName(base + ".norm.weight"), epsilon: normEpsilon, gain: .onePlusWeight, in: &graph)
    return layers.narrow(normed, in: &graph)
  }

  /// √hidden, rounded to the dtype of the computation: the models were trained with it so rounded.
  private func embeddingScale(_ precision: ComputePrecision) -> Float {
    let scale = Float(Double(hiddenSize).squareRoot())
    switch precision {
    case .f32: return scale
    case .bf16:
      let bits = scale.bitPattern
      return Float(bitPattern: (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000)
    }
  }

  private func block(
    _ layer: Int, _ x: Value, _ run: DecoderRun, _ layers: Layers, in graph: inout Graph
  ) -> Value {
    let path = block(layer)
    let dtype = layers.precision.dtype
    func norm(_ x: Value, _ name: String) -> Value {
      layers.rootMeanSquareNorm(
        x, TensorName("\(path).\(name).weight"), epsilon: normEpsilon, gain: .onePlusWeight,
        in: &graph)
    }
    func linear(_ x: Value, _ name: String, dtype: DType) -> Value {
      layers.linear(x, "\(path).\(name)", dtype: dtype, in: &graph)
    }
    let stream = graph.cast(x, to: .f32)
    let normed = layers.narrow(norm(stream, "input_layernorm"), in: &graph)
    let attended = attention(layer, normed, run, layers, in: &graph)
    let projected = linear(attended, "self_attn.o_proj", dtype: .f32)
    let middle = graph.add(stream, norm(projected, "post_attention_layernorm"))
    let second = layers.narrow(norm(middle, "pre_feedforward_layernorm"), in: &graph)
    let gate = graph.cast(linear(second, "mlp.gate_proj", dtype: dtype), to: .f32)
    let up = graph.cast(linear(second, "mlp.up_proj", dtype: dtype), to: .f32)
    let activated = graph.multiply(layers.geluTanh(gate, in: &graph), up)
    let down = linear(layers.narrow(activated, in: &graph), "mlp.down_proj", dtype: .f32)
    return layers.narrow(
      graph.add(middle, norm(down, "post_feedforward_layernorm")), in: &graph)
  }

  private func attention(
    _ layer: Int, _ x: Value, _ run: DecoderRun, _ layers: Layers, in graph: inout Graph
  ) -> Value {
    let path = block(layer) + ".self_attn"
    let dtype = layers.precision.dtype
    let rotation = run.rotations[isSliding[layer] ? 1 : 0]
    func heads(_ projection: String, _ normName: String, count: Int) -> Value {
      let projected = layers.linear(x, "\(path).\(projection)", dtype: dtype, in: &graph)
      let value = layers.rootMeanSquareNorm(
        graph.reshape(graph.cast(projected, to: .f32), run.headShape(count, width: headDimension)),
        TensorName("\(path).\(normName).weight"), epsilon: normEpsilon, gain: .onePlusWeight,
        in: &graph)
      let turned = layers.rotated(value, by: rotation, in: &graph)
      return graph.reshape(
        layers.narrow(turned, in: &graph), [run.arrangement.tokenCount, count * headDimension])
    }
    let q = heads("q_proj", "q_norm", count: headCount)
    let k = heads("k_proj", "k_norm", count: keyValueHeadCount)
    let v = layers.narrow(
      layers.linear(x, path + ".v_proj", dtype: dtype, in: &graph), in: &graph)
    let shape = AttentionHeads(
      count: headCount, keyValueCount: keyValueHeadCount, width: headDimension,
      scale: Float(1 / queryScalar.squareRoot()), window: isSliding[layer] ? window : nil)
    return layers.attention(layer, q, k, v, shape, run, in: &graph)
  }
}
