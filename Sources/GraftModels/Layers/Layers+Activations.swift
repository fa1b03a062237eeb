internal import GraftGraph

extension Layers {
  /// An activation of f32 values.
  func activated(_ x: Value, by activation: Activation, in graph: inout Graph) -> Value {
    switch activation {
    case .gelu: gelu(x, in: &graph)
    case .geluTanh: geluTanh(x, in: &graph)
    case .relu: graph.maximum(x, graph.constant(0))
    }
  }

  /// x/2 · (1 + erf(x/√2)).
  func gelu(_ x: Value, in graph: inout Graph) -> Value {
    let inner = graph.erf(graph.multiply(x, graph.constant(Float(0.5).squareRoot())))
    return graph.multiply(
      graph.multiply(x, graph.constant(0.5)), graph.add(graph.constant(1), inner))
  }

  /// x/2 · (1 + tanh(√(2/π) · (x + 0.044715·x³))).
  func geluTanh(_ x: Value, in graph: inout Graph) -> Value {
    let cube = graph.multiply(graph.square(x), x)
    let sum = graph.add(x, graph.multiply(graph.constant(0.044715), cube))
    let inner = graph.tanh(graph.multiply(graph.constant((2 / Float.pi).squareRoot()), sum))
    return graph.multiply(
      graph.multiply(x, graph.constant(0.5)), graph.add(graph.constant(1), inner))
  }
}
