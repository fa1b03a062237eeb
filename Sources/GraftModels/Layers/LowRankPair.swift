package import GraftCore

/// The rank and scaling of one module's pair: `y += scaling · x·Aᵀ·Bᵀ`, A: [rank, in]  B: [out, rank].
package struct LowRankPair: Sendable, Hashable {
  package let rank: Int
  package let scaling: Float

  package init(rank: Int, scaling: Float) {
    self.rank = rank
    self.scaling = scaling
  }

  /// The parameter name of a module's A: [rank, in].
  package static func nameOfA(_ path: String) -> TensorName { TensorName(path + ".lora_A.weight") }

  /// The parameter name of a module's B: [out, rank].
  package static func nameOfB(_ path: String) -> TensorName { TensorName(path + ".lora_B.weight") }
}
