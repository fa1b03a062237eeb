package import GraftCore

/// The rank and scaling of one module's pair: `y += scaling · dropout(x)·Aᵀ·Bᵀ`, A: [rank, in]  B: [out, rank].
package struct LowRankPair: Sendable, Hashable {
  package let rank: Int
  package let scaling: Float
  /// The probability that an element of A's input is dropped in training.
  package let dropout: Double

  package init(rank: Int, scaling: Float, dropout: Double = 0) {
    self.rank = rank
    self.scaling = scaling
    self.dropout = dropout
  }

  /// The parameter name of a module's A: [rank, in].
  package static func nameOfA(_ path: String) -> TensorName { TensorName(path + ".lora_A.weight") }

  /// The parameter name of a module's B: [out, rank].
  package static func nameOfB(_ path: String) -> TensorName { TensorName(path + ".lora_B.weight") }
}
