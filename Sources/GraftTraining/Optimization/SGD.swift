package import GraftCore
package import GraftGraph

/// Stochastic gradient descent with momentum, as `torch.optim.SGD` computes it: the weight decay is part of the gradient.
public struct SGD: Sendable, Equatable {
  /// Decay of the momentum buffer; 0 keeps none.
  public var momentum: Double
  /// Whether the step looks ahead along the momentum (Nesterov).
  public var isNesterov: Bool
  /// The share of the weights that is added to the gradient.
  public var weightDecay: Double

  /// Describes an optimizer.
  public init(momentum: Double = 0.9, isNesterov: Bool = false, weightDecay: Double = 0) {
    self.momentum = momentum
    self.isNesterov = isNesterov
    self.weightDecay = weightDecay
  }
}

extension SGD: UpdateRule {
  package func state(for shape: Shape) -> [StateTensor] {
    momentum == 0 ? [] : [StateTensor(suffix: "momentum_buffer", shape: shape)]
  }

  package var scalarNames: [String] { ["learningRate"] }

  package func scalars(learningRate: Double, step: Int) -> [Float] { [Float(learningRate)] }

  package func update(_ tensor: UpdatedTensor, in graph: inout Graph) {
    var direction = graph.add(
      tensor.gradient, graph.multiply(tensor.weight, graph.constant(Float(weightDecay))))
    if let buffer = tensor.state.first {
      let factor = graph.constant(Float(momentum))
      let newBuffer = graph.add(graph.multiply(buffer, factor), direction)
      direction =
        isNesterov ? graph.add(direction, graph.multiply(newBuffer, factor)) : newBuffer
      graph.assign(buffer, newBuffer)
    }
    graph.assign(
      tensor.weight,
      graph.subtract(tensor.weight, graph.multiply(direction, tensor.scalars[0])))
  }
}
