package import GraftCore
package import GraftGraph

/// How one tensor changes in a step: what every optimizer is to the compiler.
///
/// A rule adds its arithmetic to a graph that all trained tensors share, so an update is fused like any other computation. What
/// changes with the step is bound as scalars, so that one compiled update serves the whole run.
package protocol UpdateRule: Sendable {
  /// The tensors, all zero at first, that are kept from step to step for a trained tensor of a shape.
  func state(for shape: Shape) -> [StateTensor]

  /// The names of the scalars that change with the step.
  var scalarNames: [String] { get }

  /// The scalars' values, in the order of their names, at a step counted from 1.
  func scalars(learningRate: Double, step: Int) -> [Float]

  /// Adds the update of one tensor, in place.
  func update(_ tensor: UpdatedTensor, in graph: inout Graph)
}

/// A tensor that an optimizer keeps for a trained tensor.
package struct StateTensor: Sendable, Equatable {
  /// What its name adds to the trained tensor's, in PyTorch's words: `exp_avg`, `momentum_buffer`.
  package let suffix: String
  /// Its extents; the values are f32.
  package let shape: Shape

  /// The name of the tensor that is kept for a trained one.
  package func name(for tensor: TensorName) -> TensorName {
    TensorName(tensor.text + "." + suffix)
  }
}

/// The values that a rule's update is built of; f32, on the shape of the trained tensor unless said otherwise.
package struct UpdatedTensor {
  package let shape: Shape
  package let weight: Value
  /// The gradient after accumulation and clipping.
  package let gradient: Value
  /// The state, in the order and the shapes of ``UpdateRule/state(for:)``.
  package let state: [Value]
  /// The step's scalars, [1] each, in the order of ``UpdateRule/scalarNames``.
  package let scalars: [Value]

  package init(
    shape: Shape, weight: Value, gradient: Value, state: [Value], scalars: [Value]
  ) {
    self.shape = shape
    self.weight = weight
    self.gradient = gradient
    self.state = state
    self.scalars = scalars
  }
}

extension Graph {
  /// decay · average + (1 − decay) · x: one step of an exponential moving average.
  mutating func movingAverage(_ average: Value, _ x: Value, decay: Double) -> Value {
    add(multiply(average, constant(Float(decay))), multiply(x, constant(Float(1 - decay))))
  }

  /// The sum of all elements: [1].
  mutating func sum(_ x: Value, shape: Shape) -> Value {
    sumRows(reshape(rowSum(x), [shape.rows, 1]))
  }
}
