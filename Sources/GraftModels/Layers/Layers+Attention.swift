internal import GraftCore
internal import GraftGraph
internal import GraftKernels

/// The heads of an attention.
struct AttentionHeads {
  let count: Int
  let keyValueCount: Int
  let width: Int
  /// By which scores are multiplied before the softmax.
  let scale: Float
  /// The tokens that a token sees, itself included; nil for all before it.
  let window: Int?
}

extension Layers {
  /// Turns every head by its token's position (Su et al., arXiv 2104.09864); x: […, heads, width], f32.
  func rotated(_ x: Value, by rotation: DecoderRun.Rotation, in graph: inout Graph) -> Value {
    let width = graph.shape(of: x).columns
    return graph.add(
      graph.multiply(x, rotation.cosine),
      graph.multiply(graph.rotateHalf(x, width: width), rotation.sine))
  }

  /// Causal attention of a block: over the run's own tokens, or over the caches too.
  ///
  /// q: [tokens, heads · width]  k, v: [tokens, keyValueHeads · width] → [tokens, heads · width].
  func attention(
    _ layer: Int, _ q: Value, _ k: Value, _ v: Value, _ heads: AttentionHeads, _ run: DecoderRun,
    in graph: inout Graph
  ) -> Value {
    let shape = AttentionShape(
      batch: run.arrangement.batch, sequence: run.arrangement.sequence, heads: heads.count,
      keyValueHeads: heads.keyValueCount, headDim: heads.width, scale: heads.scale,
      window: heads.window)
    guard case .continued(_, let capacity) = run.arrangement, let length = run.cacheLength else {
      return graph.attention(q, k, v, shape: shape, segments: run.segments)
    }
    let cache: Shape = [capacity, shape.keyValueWidth]
    let keys = graph.parameter(DecoderGraph.Input.keyCache(layer), precision.dtype, cache)
    let values = graph.parameter(DecoderGraph.Input.valueCache(layer), precision.dtype, cache)
    return graph.cachedAttention(
      q, k, v, keyCache: keys, valueCache: values, position: length, shape: shape)
  }
}
