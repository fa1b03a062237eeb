internal import GraftCore
internal import GraftGraph
internal import GraftKernels

/// The parts that architectures are put together from: each adds its computation to a graph.
///
/// Matrices are multiplied in the precision's dtype; norms, activations and sums are in f32.
package struct Layers: Sendable {
  /// The stored dtype and shape of each weight, for the parameters' declarations.
  let weights: ModelWeights
  /// The dtype of matrices and activations.
  let precision: ComputePrecision
  /// The low-rank pairs by module path.
  let adapters: [String: LowRankPair]
  /// What the masks of the adapters' dropout depend on in training; nil drops nothing.
  var dropoutSeed: UInt64?

  init(
    weights: ModelWeights, precision: ComputePrecision, adapters: [String: LowRankPair] = [:]
  ) {
    self.weights = weights
    self.precision = precision
    self.adapters = adapters
  }

  /// A weight as the computation takes it: a matrix in the precision's dtype, converted where it is used if it is
  /// the f32 master of a trained one.
  func parameter(_ name: TensorName, in graph: inout Graph) -> Value {
    let value = table(name, in: &graph)
    return graph.shape(of: value).rank >= 2 ? narrow(value, in: &graph) : value
  }

  /// A weight as it lies in memory, for gathering rows from.
  func table(_ name: TensorName, in graph: inout Graph) -> Value {
    let type = weights.type(of: name)
    return graph.parameter(name, type.dtype, type.shape)
  }

  /// A vector of weights in f32.
  func vector(_ name: TensorName, in graph: inout Graph) -> Value {
    graph.cast(parameter(name, in: &graph), to: .f32)
  }

  /// A value in the dtype that matrices are multiplied in.
  func narrow(_ x: Value, in graph: inout Graph) -> Value { graph.cast(x, to: precision.dtype) }

  /// y = x · Wᵀ (+ bias) (+ scaling · dropout(x)·Aᵀ·Bᵀ); f32 when something was added, else `dtype`.
  ///
  /// W: [out, in], or [in, out] where the checkpoint stores it so.
  func linear(
    _ x: Value, _ path: String, isStoredTransposed: Bool = false, dtype: DType,
    in graph: inout Graph
  ) -> Value {
    let weight = parameter(TensorName(path + ".weight"), in: &graph)
    var y = graph.matmul(
      x, transposed: false, weight, transposed: !isStoredTransposed, dtype: dtype)
    if weights.contains(TensorName(path + ".bias")) {
      y = graph.add(
        graph.cast(y, to: .f32), vector(TensorName(path + ".bias"), in: &graph))
    }
    guard let pair = adapters[path] else { return y }
    let (inputWidth, outputWidth) = (graph.shape(of: x).columns, graph.shape(of: y).columns)
    let a = graph.parameter(LowRankPair.nameOfA(path), .f32, [pair.rank, inputWidth])
    let b = graph.parameter(LowRankPair.nameOfB(path), .f32, [outputWidth, pair.rank])
    let kept = dropped(x, path, pair, in: &graph)
    let narrow = graph.matmul(kept, transposed: false, a, transposed: true, dtype: .f32)
    let delta = graph.matmul(
      graph.multiply(narrow, graph.constant(pair.scaling)), transposed: false, b, transposed: true,
      dtype: .f32)
    return graph.add(graph.cast(y, to: .f32), delta)
  }

  /// The input of a module's A: in training with a mask of the module's own on it, in f32.
  private func dropped(
    _ x: Value, _ path: String, _ pair: LowRankPair, in graph: inout Graph
  ) -> Value {
    guard let dropoutSeed, pair.dropout > 0 else { return x }
    let mask = DropoutMask(
      probability: pair.dropout, seed: dropoutSeed,
      stream: FNV1a((path + ".lora_dropout").utf8).value)
    return graph.dropout(x, mask, batch: graph.input(DecoderGraph.Input.batch, .i64, [1]))
  }
}
