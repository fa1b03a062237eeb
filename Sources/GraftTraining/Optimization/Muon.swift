package import GraftCore
package import GraftGraph

/// Muon: momentum whose matrix is made nearly orthogonal before the step (Jordan et al., 2024), as `torch.optim.Muon` computes it,
/// but with the Newton–Schulz iteration in f32.
///
/// It is for the matrices inside a network; embeddings, the output head and vectors go by ``fallback``.
public struct Muon: Sendable, Equatable {
  /// Decay of the momentum buffer.
  public var momentum: Double
  /// Whether the step looks ahead along the momentum (Nesterov).
  public var isNesterov: Bool
  /// Decay of the weights, times the learning rate.
  public var weightDecay: Double
  /// How the learning rate follows a matrix's extents.
  public var adjustment: Adjustment
  /// The optimizer of what isn't a matrix inside the network.
  public var fallback: AdamW

  /// How the learning rate follows a matrix's extents, in PyTorch's words.
  public enum Adjustment: String, Sendable {
    /// √max(1, rows / columns).
    case original
    /// 0.2 · √max(rows, columns): steps as large as AdamW's at the same learning rate (Liu et al., arXiv 2502.16982).
    case matchRMSAdamW = "match_rms_adamw"
  }

  /// Describes an optimizer; one learning rate then serves Muon and the fallback.
  public init(
    momentum: Double = 0.95, isNesterov: Bool = true, weightDecay: Double = 0,
    adjustment: Adjustment = .matchRMSAdamW, fallback: AdamW = AdamW()
  ) {
    self.momentum = momentum
    self.isNesterov = isNesterov
    self.weightDecay = weightDecay
    self.adjustment = adjustment
    self.fallback = fallback
  }

  /// What the learning rate is multiplied with for a matrix.
  func rateFactor(for shape: Shape) -> Double {
    switch adjustment {
    case .original: max(1, Double(shape.rows) / Double(shape.columns)).squareRoot()
    case .matchRMSAdamW: 0.2 * Double(max(shape.rows, shape.columns)).squareRoot()
    }
  }

  /// The coefficients of the quintic iteration, chosen for the largest slope at zero.
  private static let coefficients: (Float, Float, Float) = (3.4445, -4.7750, 2.0315)
  private static let iterations = 5
  /// The least norm that a momentum is divided by.
  private static let leastNorm: Float = 1e-7
}

extension Muon: UpdateRule {
  package func state(for shape: Shape) -> [StateTensor] {
    [StateTensor(suffix: "momentum_buffer", shape: shape)]
  }

  package var scalarNames: [String] { ["decay", "learningRate"] }

  package func scalars(learningRate: Double, step: Int) -> [Float] {
    [Float(1 - learningRate * weightDecay), Float(learningRate)]
  }

  package func update(_ tensor: UpdatedTensor, in graph: inout Graph) {
    let buffer = tensor.state[0]
    let newBuffer = graph.movingAverage(buffer, tensor.gradient, decay: momentum)
    let direction =
      isNesterov
      ? graph.movingAverage(newBuffer, tensor.gradient, decay: momentum) : newBuffer
    let orthogonal = Self.orthogonalized(direction, shape: tensor.shape, in: &graph)
    let rate = graph.multiply(
      tensor.scalars[1], graph.constant(Float(rateFactor(for: tensor.shape))))
    let decayed = graph.multiply(tensor.weight, tensor.scalars[0])
    graph.assign(buffer, newBuffer)
    graph.assign(tensor.weight, graph.subtract(decayed, graph.multiply(orthogonal, rate)))
  }

  /// Newton–Schulz: X ← aX + (bG + cG²)X with G = X·Xᵀ, which takes every singular value near 1.
  ///
  /// A tall matrix is multiplied from the right with G = Xᵀ·X, so that G always has the smaller extent.
  private static func orthogonalized(
    _ x: Value, shape: Shape, in graph: inout Graph
  ) -> Value {
    let (a, b, c) = coefficients
    let norm = graph.squareRoot(graph.sum(graph.square(x), shape: shape))
    var x = graph.divide(x, graph.maximum(norm, graph.constant(leastNorm)))
    let isTall = shape.rows > shape.columns
    for _ in 0..<iterations {
      let gram = graph.matmul(x, transposed: isTall, x, transposed: !isTall, dtype: .f32)
      let squared = graph.matmul(gram, transposed: false, gram, transposed: false, dtype: .f32)
      let polynomial = graph.add(
        graph.multiply(gram, graph.constant(b)), graph.multiply(squared, graph.constant(c)))
      let product =
        isTall
        ? graph.matmul(x, transposed: false, polynomial, transposed: false, dtype: .f32)
        : graph.matmul(polynomial, transposed: false, x, transposed: false, dtype: .f32)
      x = graph.add(graph.multiply(x, graph.constant(a)), product)
    }
    return x
  }
}
