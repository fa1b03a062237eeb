package import GraftCore
package import GraftGraph
internal import GraftKernels

/// Builds the computation of a decoder of any known architecture out of graph primitives.
///
/// Weights are graph parameters under their checkpoint names; an adapter's matrices are `MODULE.lora_A.weight` and
/// `MODULE.lora_B.weight`. Norms, rotary embedding and activations are compositions: the compiler fuses them.
package struct DecoderGraph: Sendable {
  package let architecture: any DecoderArchitecture
  /// The tensor that serves as output head: that of the architecture, or one that an adapter brings where the
  /// architecture takes the embedding.
  package let outputHead: TensorName
  private let layers: Layers

  package init(
    _ architecture: any DecoderArchitecture, weights: ModelWeights, precision: ComputePrecision,
    adapters: [String: LowRankPair] = [:], untiesHead: Bool = false
  ) {
    self.architecture = architecture
    outputHead = untiesHead ? architecture.headName : architecture.outputHead
    layers = Layers(weights: weights, precision: precision, adapters: adapters)
  }

  /// The hyperparameters.
  package var configuration: any DecoderConfiguration { architecture }
  /// The stored dtype of each weight, for the parameters' declarations.
  package var weights: ModelWeights { layers.weights }
  /// The dtype of matrices and activations.
  package var precision: ComputePrecision { layers.precision }
  /// The low-rank pairs by module path.
  package var adapters: [String: LowRankPair] { layers.adapters }

  /// Names of the inputs that runs bind.
  package enum Input {
    /// The token ids: [tokens], i32.
    package static let tokens: TensorName = "input.tokens"
    /// The position of each token, where positions don't simply count up from 0: [tokens], i32.
    package static let positions: TensorName = "input.positions"
    /// The document of each token of a packed run: [tokens], i32.
    package static let segments: TensorName = "input.segments"
    /// The number of the batch in its run, where adapters drop inputs: [1], i64.
    package static let batch: TensorName = "input.batch"
    /// How many tokens the caches hold before a continued run: [1], i32.
    package static let position: TensorName = "input.position"

    /// Where a part of a fused projection stands: [tokens], i32.
    static func rows(ofPart part: Int) -> TensorName { TensorName("input.rows.\(part)") }

    /// The tables of a rotary embedding: [positions, headDimension], f32.
    static func cosine(_ index: Int) -> TensorName { TensorName("input.rotary.\(index).cosine") }
    static func sine(_ index: Int) -> TensorName { TensorName("input.rotary.\(index).sine") }

    package static func keyCache(_ layer: Int) -> TensorName { TensorName("cache.\(layer).key") }
    package static func valueCache(_ layer: Int) -> TensorName {
      TensorName("cache.\(layer).value")
    }
  }

  /// Adds the decoder up to its final norm: [tokens, hidden] in the precision's dtype.
  ///
  /// - Parameter dropoutSeed: What the masks of the adapters' dropout depend on, in training; nil drops nothing.
  package func hiddenStates(
    in graph: inout Graph, _ arrangement: Arrangement, dropoutSeed: UInt64? = nil
  ) -> Value {
    var layers = layers
    layers.dropoutSeed = dropoutSeed
    return architecture.hiddenStates(
      DecoderRun(arrangement, architecture, in: &graph), layers, in: &graph)
  }

  /// The output head as a parameter: [vocabulary, hidden].
  package func head(in graph: inout Graph) -> Value {
    layers.parameter(outputHead, in: &graph)
  }

  /// The inputs that are the same in every run of an arrangement: rotary tables, positions that count up from 0.
  ///
  /// - Throws: ``StorageError`` when memory runs out.
  package func constantInputs(
    _ arrangement: Arrangement
  ) throws(StorageError) -> [TensorName: MemorySlice] {
    var inputs: [TensorName: MemorySlice] = [:]
    for (index, rotary) in architecture.rotaryEmbeddings.enumerated() {
      let tables = try rotary.tables(count: arrangement.positionCount)
      inputs[Input.cosine(index)] = tables.cosine
      inputs[Input.sine(index)] = tables.sine
    }
    let parts = architecture.splitCount
    for part in 0..<parts {
      inputs[Input.rows(ofPart: part)] = try MemorySlice(
        copying: (0..<arrangement.tokenCount).map { Int32($0 * parts + part) },
        [arrangement.tokenCount])
    }
    if case .sequences(_, let sequence) = arrangement {
      inputs[Input.positions] = try MemorySlice(
        copying: (0..<sequence).map(Int32.init), [sequence])
    }
    return inputs
  }

  /// The caches of a continued run, for keys and values of `capacity` tokens.
  ///
  /// - Throws: ``StorageError`` when memory runs out.
  package func caches(capacity: Int) throws(StorageError) -> [TensorName: MemorySlice] {
    var caches: [TensorName: MemorySlice] = [:]
    let shape: Shape = [capacity, architecture.keyValueWidth]
    for layer in 0..<architecture.layerCount {
      for name in [Input.keyCache(layer), Input.valueCache(layer)] {
        caches[name] = try MemorySlice(allocating: precision.dtype, shape)
      }
    }
    return caches
  }
}
