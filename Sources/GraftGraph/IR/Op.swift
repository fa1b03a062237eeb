package import GraftCore
package import GraftKernels

/// What a node computes.
///
/// Norms, softmax, activations, rotary embedding and the optimizer are compositions of the pointwise operations and
/// reductions; GEMM, attention, the loss head and row gathers are opaque.
package enum Op: Sendable, Hashable {
  // Leaves
  /// External memory that outlives runs: weights, adapters, optimizer state, caches.
  case parameter(TensorName)
  /// External memory that changes from run to run: token ids, positions, step sizes.
  case input(TensorName)
  /// One number: [1].
  case constant(Float)
  /// The factors of dropout for the elements of a tensor, by the number of the batch: [1], i64.
  ///
  /// Copies are the same numbers in nodes of their own, so that what they are put on is made for each of its readers.
  case dropoutMask(DropoutMask, copy: Int)

  // Pointwise, on f32, broadcasting as NumPy does
  case unary(TileProgram.Unary)
  case binary(TileProgram.Binary)
  /// `condition ≠ 0 ? then : otherwise`, on three values of one shape.
  case select
  /// To the dtype of the result, rounding to nearest even.
  case cast
  /// To the shape of the result, as NumPy broadcasts.
  case broadcast
  /// Within each group of `width` columns: (x₁, x₂) → (−x₂, x₁) by halves.
  case rotateHalf(width: Int)

  // Reductions
  /// Over the last axis, which stays with extent 1.
  case rowReduce(TileProgram.Reduction)
  /// Over all axes but the last: [.., columns] → [columns].
  case sumRows

  // Views
  /// The same elements under another shape.
  case reshape

  // Opaque
  /// op(a) · op(b); a: [M, K]  b: [K, N] after transposing.
  case matmul(transposeA: Bool, transposeB: Bool)
  /// q, k, v, perhaps segments [tokens] → o, log-sum-exp [tokens, heads].
  case attention(AttentionShape)
  /// q, k, v, o, log-sum-exp, ∂o, perhaps segments → ∂q, ∂k, ∂v.
  case attentionBackward(AttentionShape)
  /// q, k, v, key cache, value cache, position [1] → o; appends to the caches.
  case cachedAttention(AttentionShape)
  /// table [rows, columns], ids [n] → [n, columns].
  case gather
  /// gradient [n, columns], ids [n], perhaps a sum so far → that and the table gradient [rows, columns].
  case scatterAdd
  /// x [tokens, hidden], head [vocabulary, hidden], targets [tokens] → losses [tokens], ∂losses[t]/∂x[t] [tokens, hidden].
  case crossEntropy
  /// x, head, targets, ∂loss [tokens], perhaps a sum so far → that and ∂head [vocabulary, hidden].
  case crossEntropyHeadGradient

  // Effects
  /// Writes a value into a parameter (first input) at the end of its computation.
  case assign

  /// The classes that passes tell apart.
  package enum Kind: Sendable {
    /// Memory given from outside.
    case leaf
    /// Numbers that whoever reads them makes for itself.
    case constant
    /// Runs inside tile programs.
    case fusible
    /// The same memory as its input.
    case view
    /// A kernel of its own.
    case opaque
    /// Changes a parameter.
    case effect
  }

  /// The class of the operation.
  package var kind: Kind {
    switch self {
    case .parameter, .input: .leaf
    case .constant, .dropoutMask: .constant
    case .unary, .binary, .select, .cast, .broadcast, .rotateHalf, .rowReduce, .sumRows: .fusible
    case .reshape: .view
    case .matmul, .attention, .attentionBackward, .cachedAttention, .gather, .scatterAdd,
      .crossEntropy, .crossEntropyHeadGradient:
      .opaque
    case .assign: .effect
    }
  }

  /// Whether the kernel can leave out a result that nobody reads.
  package func canOmit(result: Int) -> Bool {
    switch self {
    case .attention, .crossEntropy: result == 1
    case .parameter, .input, .constant, .dropoutMask, .unary, .binary, .select, .cast, .broadcast,
      .rotateHalf, .rowReduce, .sumRows, .reshape, .matmul, .attentionBackward, .cachedAttention,
      .gather, .scatterAdd, .crossEntropyHeadGradient, .assign:
      false
    }
  }

  /// The place among the inputs of a sum that the kernel may add to; nil for operations that add to nothing.
  package var sumInput: Int? {
    switch self {
    case .scatterAdd: 2
    case .crossEntropyHeadGradient: 4
    case .parameter, .input, .constant, .dropoutMask, .unary, .binary, .select, .cast, .broadcast,
      .rotateHalf, .rowReduce, .sumRows, .reshape, .matmul, .attention, .attentionBackward,
      .cachedAttention, .gather, .crossEntropy, .assign:
      nil
    }
  }
}
