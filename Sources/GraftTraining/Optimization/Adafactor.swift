package import GraftCore
package import GraftGraph
internal import Glibc

/// Adafactor: a second moment that is kept as row and column means for matrices (Shazeer & Stern, arXiv 1804.04235).
///
/// It computes what transformers' `Adafactor` does with `scale_parameter=False`, `relative_step=False` and no first moment: the learning
/// rate is the schedule's, and the update's root mean square is clipped to 1.
public struct Adafactor: Sendable, Equatable {
  /// Added to the squared gradient.
  public var epsilon: Double
  /// Decay of the weights, times the learning rate.
  public var weightDecay: Double

  /// Describes an optimizer; the defaults are the paper's, without weight decay.
  public init(epsilon: Double = 1e-30, weightDecay: Double = 0) {
    self.epsilon = epsilon
    self.weightDecay = weightDecay
  }

  /// The second moment's decay at step t is 1 − t^this.
  private static let decayExponent = -0.8
}

extension Adafactor: UpdateRule {
  package func state(for shape: Shape) -> [StateTensor] {
    guard shape.rank == 2 else { return [StateTensor(suffix: "exp_avg_sq", shape: shape)] }
    return [
      StateTensor(suffix: "exp_avg_sq_row", shape: [shape.rows, 1]),
      StateTensor(suffix: "exp_avg_sq_col", shape: [shape.columns]),
    ]
  }

  package var scalarNames: [String] { ["decay", "learningRate", "keptMoment", "newMoment"] }

  package func scalars(learningRate: Double, step: Int) -> [Float] {
    let new = pow(Double(step), Self.decayExponent)
    return [Float(1 - learningRate * weightDecay), Float(learningRate), Float(1 - new), Float(new)]
  }

  package func update(_ tensor: UpdatedTensor, in graph: inout Graph) {
    let shape = tensor.shape
    let squares = graph.add(graph.square(tensor.gradient), graph.constant(Float(epsilon)))
    func average(_ old: Value, _ new: Value) -> Value {
      let value = graph.add(
        graph.multiply(old, tensor.scalars[2]), graph.multiply(new, tensor.scalars[3]))
      graph.assign(old, value)
      return value
    }
    let scaled: Value
    if tensor.state.count == 2 {
      let rowMeans = graph.multiply(
        graph.rowSum(squares), graph.constant(1 / Float(shape.columns)))
      let columnMeans = graph.multiply(
        graph.sumRows(squares), graph.constant(1 / Float(shape.rows)))
      let rows = average(tensor.state[0], rowMeans)
      let columns = average(tensor.state[1], columnMeans)
      let mean = graph.multiply(graph.sumRows(rows), graph.constant(1 / Float(shape.rows)))
      let rowFactor = graph.reciprocalSquareRoot(graph.divide(rows, mean))
      let columnFactor = graph.reciprocalSquareRoot(columns)
      scaled = graph.multiply(graph.multiply(rowFactor, columnFactor), tensor.gradient)
    } else {
      let second = average(tensor.state[0], squares)
      scaled = graph.multiply(graph.reciprocalSquareRoot(second), tensor.gradient)
    }
    let meanSquare = graph.multiply(
      graph.sum(graph.square(scaled), shape: shape),
      graph.constant(1 / Float(shape.elementCount)))
    let clip = graph.maximum(graph.squareRoot(meanSquare), graph.constant(1))
    let step = graph.multiply(graph.divide(scaled, clip), tensor.scalars[1])
    let decayed = graph.multiply(tensor.weight, tensor.scalars[0])
    graph.assign(tensor.weight, graph.subtract(decayed, step))
  }
}
