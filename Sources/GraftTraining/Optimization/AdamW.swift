package import GraftCore
package import GraftGraph
internal import Glibc

/// AdamW: Adam with decoupled weight decay (Loshchilov & Hutter, arXiv 1711.05101), as PyTorch computes it.
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

  /// The scalars that change with the step; bound as inputs, so that one compiled update serves the whole run.
  package enum Input: CaseIterable {
    /// 1 − learning rate · weight decay.
    case decay
    /// Learning rate / (1 − β₁ᵗ).
    case stepSize
    /// 1 / √(1 − β₂ᵗ).
    case secondCorrection

    package var name: TensorName {
      switch self {
      case .decay: "adamw.decay"
      case .stepSize: "adamw.stepSize"
      case .secondCorrection: "adamw.secondCorrection"
      }
    }
  }

  /// The value of a scalar at a step, counted from 1.
  package func value(of input: Input, learningRate: Double, step: Int) -> Float {
    switch input {
    case .decay: Float(1 - learningRate * weightDecay)
    case .stepSize: Float(learningRate / (1 - pow(beta1, Double(step))))
    case .secondCorrection: Float(1 / (1 - pow(beta2, Double(step))).squareRoot())
    }
  }

  /// The names of a trainable tensor's moments.
  package static func moments(of name: TensorName) -> (first: TensorName, second: TensorName) {
    (TensorName(name.text + ".exp_avg"), TensorName(name.text + ".exp_avg_sq"))
  }

  /// Adds the update of one tensor, in place; `gradient` has its shape and is f32.
  package func update(
    _ name: TensorName, shape: Shape, gradient: Value, in graph: inout Graph
  ) {
    let scalars = Input.allCases.map { graph.input($0.name, .f32, [1]) }
    let moments = Self.moments(of: name)
    let weight = graph.parameter(name, .f32, shape)
    let first = graph.parameter(moments.first, .f32, shape)
    let second = graph.parameter(moments.second, .f32, shape)
    let newFirst = graph.add(
      graph.multiply(first, graph.constant(Float(beta1))),
      graph.multiply(gradient, graph.constant(Float(1 - beta1))))
    let newSecond = graph.add(
      graph.multiply(second, graph.constant(Float(beta2))),
      graph.multiply(graph.square(gradient), graph.constant(Float(1 - beta2))))
    let root = graph.add(
      graph.multiply(graph.squareRoot(newSecond), scalars[2]), graph.constant(Float(epsilon)))
    let decayed = graph.multiply(weight, scalars[0])
    let newWeight = graph.subtract(
      decayed, graph.multiply(graph.divide(newFirst, root), scalars[1]))
    graph.assign(first, newFirst)
    graph.assign(second, newSecond)
    graph.assign(weight, newWeight)
  }
}
