/// The extents of an attention: `heads` query heads share `keyValueHeads` heads of keys and values.
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

  /// Describes an attention.
  public init(
    batch: Int, sequence: Int, heads: Int, keyValueHeads: Int, headDim: Int, scale: Float
  ) {
    precondition(keyValueHeads > 0 && heads % keyValueHeads == 0, "heads share keys evenly")
    self.batch = batch
    self.sequence = sequence
    self.heads = heads
    self.keyValueHeads = keyValueHeads
    self.headDim = headDim
    self.scale = scale
  }

  /// Query heads that share a head of keys and values.
  public var group: Int { heads / keyValueHeads }
  /// Columns of queries and outputs.
  public var width: Int { heads * headDim }
  /// Columns of keys and values.
  public var keyValueWidth: Int { keyValueHeads * headDim }
}
