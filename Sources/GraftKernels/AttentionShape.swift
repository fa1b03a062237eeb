/// The extents of an attention, and which keys a token sees: `heads` query heads share `keyValueHeads` heads of keys and values.
public struct AttentionShape: Sendable, Hashable {
  /// Sequences.
  public var batch: Int
  /// Rows of each sequence.
  public var sequence: Int
  /// Heads of queries and outputs.
  public var heads: Int
  /// Heads of keys and values.
  public var keyValueHeads: Int
  /// Columns of a head.
  public var headDim: Int
  /// By which scores are multiplied before the softmax.
  public var scale: Float
  /// Whether a token sees no later token.
  public var isCausal: Bool
  /// A sliding window (Beltagy et al., arXiv 2004.05150): tokens see keys less than this many tokens away, themselves included.
  public var window: Int?

  /// Describes an attention.
  public init(
    batch: Int, sequence: Int, heads: Int, keyValueHeads: Int, headDim: Int, scale: Float,
    isCausal: Bool = true, window: Int? = nil
  ) {
    precondition(keyValueHeads > 0 && heads % keyValueHeads == 0, "heads share keys evenly")
    precondition(window ?? 1 > 0, "a token sees itself")
    self.batch = batch
    self.sequence = sequence
    self.heads = heads
    self.keyValueHeads = keyValueHeads
    self.headDim = headDim
    self.scale = scale
    self.isCausal = isCausal
    self.window = window
  }

  /// Query heads that share a head of keys and values.
  public var group: Int { heads / keyValueHeads }
  /// Columns of queries and outputs.
  public var width: Int { heads * headDim }
  /// Columns of keys and values.
  public var keyValueWidth: Int { keyValueHeads * headDim }
}
