internal import GraftCore
internal import GraftGraph

extension Layers {
  /// RMSNorm over the last axis (Zhang & Sennrich, arXiv 1910.07467): x / √(mean x² + ε) · weight, in f32.
  func rootMeanSquareNorm(
    _ x: Value, _ weight: TensorName, epsilon: Float, in graph: inout Graph
  ) -> Value {
    let x = graph.cast(x, to: .f32)
    let mean = mean(graph.square(x), in: &graph)
    let scale = graph.reciprocalSquareRoot(graph.add(mean, graph.constant(epsilon)))
    return graph.multiply(graph.multiply(x, scale), vector(weight, in: &graph))
  }

  /// The mean over the last axis, which stays with extent 1.
  func mean(_ x: Value, in graph: inout Graph) -> Value {
    let width = graph.shape(of: x).columns
    return graph.multiply(graph.rowSum(x), graph.constant(1 / Float(width)))
  }
}
