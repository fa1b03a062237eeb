package import GraftCore
package import GraftGraph

/// Lion: the sign of an interpolated momentum (Chen et al., arXiv 2302.06675, algorithm 2).
public struct Lion: Sendable, Equatable {
  /// The momentum's share in the update's direction.
  public var beta1: Double
  /// Decay of the momentum.
  public var beta2: Double
  /// Decay of the weights, times the learning rate.
  public var weightDecay: Double

  /// Describes an optimizer; the defaults are the paper's, without weight decay.
  public init(beta1: Double = 0.9, beta2: Double = 0.99, weightDecay: Double = 0) {
    self.beta1 = beta1
    self.beta2 = beta2
    self.weightDecay = weightDecay
  }
}

extension Lion: UpdateRule {
  package func state(for shape: Shape) -> [StateTensor] {
    [StateTensor(suffix: "exp_avg", shape: shape)]
  }

  package var scalarNames: [String] { ["decay", "learningRate"] }

  package func scalars(learningRate: Double, step: Int) -> [Float] {
    [Float(1 - learningRate * weightDecay), Float(learningRate)]
  }

  package func update(_ tensor: UpdatedTensor, in graph: inout Graph) {
    let momentum = tensor.state[0]
    let direction = graph.movingAverage(momentum, tensor.gradient, decay: beta1)
    let zero = graph.constant(0)
    let sign = graph.subtract(graph.less(zero, direction), graph.less(direction, zero))
    let decayed = graph.multiply(tensor.weight, tensor.scalars[0])
    graph.assign(momentum, graph.movingAverage(momentum, tensor.gradient, decay: beta2))
    graph.assign(
      tensor.weight, graph.subtract(decayed, graph.multiply(sign, tensor.scalars[1])))
  }
}
