internal import GraftCore
internal import GraftGraph

extension Layers {
  /// What a normalized value is multiplied by.
  enum Gain {
    case weight
    /// Gemma's weights are what the gain differs from 1 by.
    case onePlusWeight
  }

  /// RMSNorm over the last axis (Zhang & Sennrich, arXiv 1910.07467): x / √(mean x² + ε) · gain, in f32.
  func rootMeanSquareNorm(
    _ x: Value, _ weight: TensorName, epsilon: Float, gain: Gain = .weight, in graph: inout Graph
  ) -> Value {
    let x = graph.cast(x, to: .f32)
    let mean = mean(graph.square(x), in: &graph)
    let scale = graph.reciprocalSquareRoot(graph.add(mean, graph.constant(epsilon)))
    var factor = vector(weight, in: &graph)
    switch gain {
    case .weight: break
    case .onePlusWeight: factor = graph.add(factor, graph.constant(1))
    }
    return graph.multiply(graph.multiply(x, scale), factor)
  }

  /// LayerNorm over the last axis (Ba et al., arXiv 1607.06450): (x − mean) / √(variance + ε) · weight + bias, in f32.
  func layerNorm(
    _ x: Value, _ path: String, epsilon: Float, in graph: inout Graph
  ) -> Value {
    let x = graph.cast(x, to: .f32)
    let centered = graph.subtract(x, mean(x, in: &graph))
    let variance = mean(graph.square(centered), in: &graph)
    let scale = graph.reciprocalSquareRoot(graph.add(variance, graph.constant(epsilon)))
    return graph.add(
      graph.multiply(
        graph.multiply(centered, scale), vector(TensorName(path + ".weight"), in: &graph)),
      vector(TensorName(path + ".bias"), in: &graph))
  }

  /// The mean over the last axis, which stays with extent 1.
  func mean(_ x: Value, in graph: inout Graph) -> Value {
    let width = graph.shape(of: x).columns
    return graph.multiply(graph.rowSum(x), graph.constant(1 / Float(width)))
  }
}
