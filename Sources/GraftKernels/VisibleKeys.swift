internal import GraftCore

/// The keys that each token sees: a range of its sequence, the same for all heads.
///
/// Causality, a window and segments each leave a range, whose ends never fall from one token to the next; so a run of
/// tokens sees one range too, and whole blocks of keys outside it are skipped.
struct VisibleKeys: Sendable {
  /// First and one past the last, of each token; [batch·sequence, 2].
  private let ends: [Int32]
  private let sequence: Int

  /// - Parameters:
  ///   - position: Where the first token stands among the keys.
  ///   - segments: [batch·sequence] i32; a token sees the run of equal numbers that it stands in.
  init(_ shape: AttentionShape, position: Int = 0, segments: MemorySlice? = nil) {
    let tokens = shape.batch * shape.sequence
    precondition(segments?.shape.elementCount ?? tokens == tokens, "each token has a segment")
    sequence = shape.sequence
    let end = position + shape.sequence
    var ends = [Int32](repeating: 0, count: 2 * tokens)
    for batch in 0..<shape.batch {
      let row = batch * shape.sequence
      var segment = 0..<end
      for token in 0..<shape.sequence {
        if let segments, token == 0 || token == segment.upperBound {
          let number = segments.int32(row + token)
          let next = (token..<shape.sequence).first { segments.int32(row + $0) != number }
          segment = token..<(next ?? shape.sequence)
        }
        let own = position + token
        var (first, last) = (segment.lowerBound, segment.upperBound)
        if let window = shape.window {
          first = max(first, own - min(window, end) + 1)
          last = min(last, own + min(window, end))
        }
        if shape.isCausal { last = min(last, own + 1) }
        ends[2 * (row + token)] = Int32(first)
        ends[2 * (row + token) + 1] = Int32(last)
      }
    }
    self.ends = ends
  }

  /// What some token of a run sees.
  func range(batch: Int, _ tokens: Range<Int>) -> Range<Int> {
    let row = batch * sequence
    return Int(ends[2 * (row + tokens.lowerBound)])..<Int(ends[2 * (row + tokens.upperBound) - 1])
  }

  /// Lends the ends of a run's tokens: [tokens, 2].
  func withEnds<R>(
    batch: Int, _ tokens: Range<Int>, _ body: (UnsafePointer<Int32>) -> R
  ) -> R {
    unsafe ends.withUnsafeBufferPointer { all in
      guard let start = all.baseAddress else { preconditionFailure("a run has tokens") }
      return unsafe body(start + 2 * (batch * sequence + tokens.lowerBound))
    }
  }
}
