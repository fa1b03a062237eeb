/// What the backward pass recomputes instead of keeping.
public enum RecomputePolicy: Sendable, Hashable {
  /// No product, attention or gather runs again; pointwise chains do where that takes less memory than their results.
  case none
  /// Only what crosses a block's borders is kept; blocks run again before their backward pass.
  case block
  /// As little is kept as possible, at the least time that takes.
  case smallest
  /// The least time whose arena takes at most so many bytes.
  case within(byteCount: Int)
}
