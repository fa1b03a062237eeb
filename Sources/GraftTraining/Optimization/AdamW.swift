package import GraftCore
package import GraftGraph
internal import Glibc

/// AdamW: Adam with decoupled weight decay (Loshchilov & Hutter, arXiv 1711.05101), as `torch.optim.AdamW` computes it.
public struct AdamW: Sendable, Equatable {
  /// Decay of the first moment.
  public var beta1: Double
  /// Decay of the second moment.
  public var beta2: Double
  /// Added to the root of the second moment.
  public var epsilon: Double
  /// Decay of the weights, times the learning rate.
  public var weightDecay: Double

  /// Describes an optimizer; the defaults are PyTorch's, without weight decay.
  public init(
    beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8, weightDecay: Double = 0
  ) {
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay
  }
}

extension AdamW: UpdateRule {
  package func state(for shape: Shape) -> [StateTensor] {
    [StateTensor(suffix: "exp_avg", shape: shape), StateTensor(suffix: "exp_avg_sq", shape: shape)]
  }

  package var scalarNames: [String] { ["decay", "stepSize", "secondCorrection"] }

  package func scalars(learningRate: Double, step: Int) -> [Float] {
    [
      Float(1 - learningRate * weightDecay),
      Float(learningRate / (1 - pow(beta1, Double(step)))),
      Float(1 / (1 - pow(beta2, Double(step))).squareRoot()),
    ]
  }

  package func update(_ tensor: UpdatedTensor, in graph: inout Graph) {
    let (first, second) = (tensor.state[0], tensor.state[1])
    let newFirst = graph.movingAverage(first, tensor.gradient, decay: beta1)
    let newSecond = graph.movingAverage(second, graph.square(tensor.gradient), decay: beta2)
    let root = graph.add(
      graph.multiply(graph.squareRoot(newSecond), tensor.scalars[2]),
      graph.constant(Float(epsilon)))
    let decayed = graph.multiply(tensor.weight, tensor.scalars[0])
    let newWeight = graph.subtract(
      decayed, graph.multiply(graph.divide(newFirst, root), tensor.scalars[1]))
    graph.assign(first, newFirst)
    graph.assign(second, newSecond)
    graph.assign(tensor.weight, newWeight)
  }
}
