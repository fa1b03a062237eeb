package import GraftCore
package import GraftGraph
internal import GraftKernels

/// Builds the computation of a Llama-family decoder out of graph primitives.
///
/// Weights are graph parameters under their checkpoint names; an adapter's matrices are `MODULE.lora_A.weight` and
/// `MODULE.lora_B.weight`. RMSNorm, rotary embedding and SwiGLU are compositions: the compiler fuses them.
package struct LlamaGraph {
  /// The hyperparameters.
  package let configuration: LlamaConfiguration
  /// The dtype of matrices and activations.
  package let precision: ComputePrecision
  /// The stored dtype of each weight, for the parameters' declarations.
  package let weights: ModelWeights
  /// The low-rank pairs by module path.
  package let adapters: [String: LowRankPair]

  /// The rank and scaling of one module's pair: `y += scaling · x·Aᵀ·Bᵀ`, A: [rank, in]  B: [out, rank].
  package struct LowRankPair: Sendable, Hashable {
    package let rank: Int
    package let scaling: Float

    package init(rank: Int, scaling: Float) {
      self.rank = rank
      self.scaling = scaling
    }
  }

  package init(
    _ configuration: LlamaConfiguration, weights: ModelWeights, precision: ComputePrecision,
    adapters: [String: LowRankPair] = [:]
  ) {
    self.configuration = configuration
    self.weights = weights
    self.precision = precision
    self.adapters = adapters
  }

  /// How the tokens of one run are arranged.
  package enum Arrangement {
    /// `batch` independent sequences, positions from 0; ids: [batch · sequence].
    case sequences(batch: Int, sequence: Int)
    /// One sequence that goes on from `position`, with keys and values kept in caches of `capacity` tokens.
    case continued(sequence: Int, capacity: Int)

    var batch: Int {
      switch self {
      case .sequences(let batch, _): batch
      case .continued: 1
      }
    }

    var sequence: Int {
      switch self {
      case .sequences(_, let sequence), .continued(let sequence, _): sequence
      }
    }
  }

  /// Names of the inputs that every run binds.
  package enum Input {
    package static let tokens: TensorName = "input.tokens"
    package static let cosine: TensorName = "input.cosine"
    package static let sine: TensorName = "input.sine"
    package static let position: TensorName = "input.position"

    package static func keyCache(_ layer: Int) -> TensorName { TensorName("cache.\(layer).key") }
    package static func valueCache(_ layer: Int) -> TensorName {
      TensorName("cache.\(layer).value")
    }
  }

  /// Adds the decoder up to its final norm: [batch · sequence, hidden] in the precision's dtype.
  package func hiddenStates(in graph: inout Graph, _ arrangement: Arrangement) -> Value {
    let tokens = arrangement.batch * arrangement.sequence
    let ids = graph.input(Input.tokens, .i32, [tokens])
    let rotation = rotation(in: &graph, arrangement)
    let table = parameter(LlamaConfiguration.embeddingName, in: &graph)
    var x = graph.cast(graph.gather(table, ids), to: precision.dtype)
    for layer in 0..<configuration.layerCount {
      graph.beginBlock(LlamaConfiguration.block(layer))
      x = block(layer, x, rotation, arrangement, in: &graph)
      graph.endBlock()
    }
    let normed = norm(graph.cast(x, to: .f32), "model.norm.weight", in: &graph)
    return graph.cast(normed, to: precision.dtype)
  }

  /// The output head as a parameter: [vocabulary, hidden].
  package func head(in graph: inout Graph) -> Value {
    parameter(configuration.outputHead, in: &graph)
  }

  // MARK: - Block

  private struct Rotation {
    let cosine: Value
    let sine: Value
    let position: Value?
  }

  /// The tables as [sequence, 1, headDimension], so that they broadcast over heads and batch.
  private func rotation(in graph: inout Graph, _ arrangement: Arrangement) -> Rotation {
    let sequence = arrangement.sequence
    let width = configuration.headDimension
    let cosine = graph.input(Input.cosine, .f32, [sequence, width])
    let sine = graph.input(Input.sine, .f32, [sequence, width])
    var position: Value?
    if case .continued = arrangement { position = graph.input(Input.position, .i32, [1]) }
    return Rotation(
      cosine: graph.reshape(cosine, [sequence, 1, width]),
      sine: graph.reshape(sine, [sequence, 1, width]), position: position)
  }

  private func block(
    _ layer: Int, _ x: Value, _ rotation: Rotation, _ arrangement: Arrangement,
    in graph: inout Graph
  ) -> Value {
    let path = LlamaConfiguration.block(layer)
    let stream = graph.cast(x, to: .f32)
    let normed = graph.cast(
      norm(stream, TensorName(path + ".input_layernorm.weight"), in: &graph), to: precision.dtype)
    let attended = attention(layer, normed, rotation, arrangement, in: &graph)
    let middle = graph.add(
      stream, linear(attended, path + ".self_attn.o_proj", dtype: .f32, in: &graph))
    let second = graph.cast(
      norm(middle, TensorName(path + ".post_attention_layernorm.weight"), in: &graph),
      to: precision.dtype)
    let gate = graph.cast(
      linear(second, path + ".mlp.gate_proj", dtype: precision.dtype, in: &graph), to: .f32)
    let up = graph.cast(
      linear(second, path + ".mlp.up_proj", dtype: precision.dtype, in: &graph), to: .f32)
    let activated = graph.multiply(graph.multiply(gate, graph.sigmoid(gate)), up)
    let down = linear(
      graph.cast(activated, to: precision.dtype), path + ".mlp.down_proj", dtype: .f32, in: &graph)
    return graph.cast(graph.add(middle, down), to: precision.dtype)
  }

  private func attention(
    _ layer: Int, _ x: Value, _ rotation: Rotation, _ arrangement: Arrangement,
    in graph: inout Graph
  ) -> Value {
    let path = LlamaConfiguration.block(layer) + ".self_attn"
    let configuration = configuration
    let width = configuration.headDimension
    let shape = AttentionShape(
      batch: arrangement.batch, sequence: arrangement.sequence, heads: configuration.headCount,
      keyValueHeads: configuration.keyValueHeadCount, headDim: width,
      scale: 1 / Float(width).squareRoot())
    func heads(_ projection: String, _ normName: String, count: Int) -> Value {
      var value = linear(x, "\(path).\(projection)", dtype: precision.dtype, in: &graph)
      value = graph.reshape(
        graph.cast(value, to: .f32), [arrangement.batch, arrangement.sequence, count, width])
      if configuration.normalizesQueriesAndKeys {
        value = norm(value, TensorName("\(path).\(normName).weight"), in: &graph)
      }
      let turned = graph.add(
        graph.multiply(value, rotation.cosine),
        graph.multiply(graph.rotateHalf(value, width: width), rotation.sine))
      return graph.reshape(
        graph.cast(turned, to: precision.dtype),
        [arrangement.batch * arrangement.sequence, count * width])
    }
    let q = heads("q_proj", "q_norm", count: configuration.headCount)
    let k = heads("k_proj", "k_norm", count: configuration.keyValueHeadCount)
    let v = graph.cast(
      linear(x, path + ".v_proj", dtype: precision.dtype, in: &graph), to: precision.dtype)
    guard case .continued(_, let capacity) = arrangement, let position = rotation.position else {
      return graph.attention(q, k, v, shape: shape)
    }
    let cache: Shape = [capacity, configuration.keyValueHeadCount * width]
    let keys = graph.parameter(Input.keyCache(layer), precision.dtype, cache)
    let values = graph.parameter(Input.valueCache(layer), precision.dtype, cache)
    return graph.cachedAttention(
      q, k, v, keyCache: keys, valueCache: values, position: position, shape: shape)
  }

  // MARK: - Parts

  /// RMSNorm over the last axis (Zhang & Sennrich, arXiv 1910.07467): x / √(mean x² + ε) · weight, in f32.
  private func norm(_ x: Value, _ weight: TensorName, in graph: inout Graph) -> Value {
    let x = graph.cast(x, to: .f32)
    let width = graph.shape(of: x).columns
    let mean = graph.multiply(
      graph.rowSum(graph.square(x)), graph.constant(1 / Float(width)))
    let scale = graph.reciprocalSquareRoot(
      graph.add(mean, graph.constant(configuration.normEpsilon)))
    let gain = graph.cast(parameter(weight, in: &graph), to: .f32)
    return graph.multiply(graph.multiply(x, scale), gain)
  }

  /// y = x · Wᵀ (+ bias) (+ scaling · x·Aᵀ·Bᵀ); f32 when something was added, else `dtype`.
  private func linear(
    _ x: Value, _ path: String, dtype: DType, in graph: inout Graph
  ) -> Value {
    let weight = parameter(TensorName(path + ".weight"), in: &graph)
    var y = graph.matmul(x, transposed: false, weight, transposed: true, dtype: dtype)
    if weights.tensors[TensorName(path + ".bias")] != nil {
      let bias = graph.cast(parameter(TensorName(path + ".bias"), in: &graph), to: .f32)
      y = graph.add(graph.cast(y, to: .f32), bias)
    }
    guard let pair = adapters[path] else { return y }
    let shape = graph.shape(of: weight)
    let a = graph.parameter(Self.adapterA(path), .f32, [pair.rank, shape[1]])
    let b = graph.parameter(Self.adapterB(path), .f32, [shape[0], pair.rank])
    let narrow = graph.matmul(x, transposed: false, a, transposed: true, dtype: .f32)
    let delta = graph.matmul(
      graph.multiply(narrow, graph.constant(pair.scaling)), transposed: false, b, transposed: true,
      dtype: .f32)
    return graph.add(graph.cast(y, to: .f32), delta)
  }

  /// The parameter name of a module's A: [rank, in].
  package static func adapterA(_ path: String) -> TensorName { TensorName(path + ".lora_A.weight") }

  /// The parameter name of a module's B: [out, rank].
  package static func adapterB(_ path: String) -> TensorName { TensorName(path + ".lora_B.weight") }

  private func parameter(_ name: TensorName, in graph: inout Graph) -> Value {
    let slice = weights[name]
    return graph.parameter(name, slice.dtype, slice.shape)
  }
}
