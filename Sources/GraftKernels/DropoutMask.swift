internal import CKernels

/// The masks of dropout of one random stream: what a tensor is multiplied with, batch by batch.
///
/// In batch `b` element `i` is dropped where ``RandomStream/word(seed:stream:step:index:)`` at step `b` and index `i` is below
/// probability · 2³²; what is kept is scaled by 1 / (1 − probability), as PyTorch does. So a mask is nowhere in memory: who needs an
/// element makes it.
package struct DropoutMask: Sendable, Hashable {
  /// The probability that an element is dropped: at least 0 and less than 1.
  package let probability: Double
  /// Decides all masks.
  package let seed: UInt64
  /// Tells apart the tensors that have masks of their own.
  package let stream: UInt64

  package init(probability: Double, seed: UInt64, stream: UInt64) {
    precondition((0..<1).contains(probability), "not everything is dropped")
    self.probability = probability
    self.seed = seed
    self.stream = stream
  }

  /// The factor of an element: 0, or the scale of what is kept.
  package func factor(batch: UInt64, element: UInt64) -> Float {
    let word = RandomStream.word(seed: seed, stream: stream, step: batch, index: element)
    return word < threshold ? 0 : scale
  }

  private var threshold: UInt32 { UInt32(clamping: Int64((probability * 0x1p32).rounded())) }

  private var scale: Float { Float(1 / (1 - probability)) }

  /// The mask as the tile machine takes it.
  var forKernel: graft_dropout_mask {
    let key = RandomStream.key(seed: seed, stream: stream)
    return graft_dropout_mask(
      key: (key.x, key.y), stream: UInt32(truncatingIfNeeded: stream), threshold: threshold,
      scale: scale)
  }
}
