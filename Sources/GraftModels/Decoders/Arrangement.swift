/// How the tokens of one run of a decoder are arranged.
package enum Arrangement: Sendable, Hashable {
  /// `batch` independent sequences, positions from 0; ids: [batch · sequence].
  case sequences(batch: Int, sequence: Int)
  /// `batch` rows that hold several documents each: a token has the position and sees the tokens of its own document.
  ///
  /// ``DecoderGraph/Input/positions`` and ``DecoderGraph/Input/segments`` say which: [batch · sequence], i32.
  case packed(batch: Int, sequence: Int)
  /// One sequence that goes on from a position, with keys and values kept in caches of `capacity` tokens.
  case continued(sequence: Int, capacity: Int)

  package var batch: Int {
    switch self {
    case .sequences(let batch, _), .packed(let batch, _): batch
    case .continued: 1
    }
  }

  package var sequence: Int {
    switch self {
    case .sequences(_, let sequence), .packed(_, let sequence), .continued(let sequence, _):
      sequence
    }
  }

  /// Tokens of one run.
  package var tokenCount: Int { batch * sequence }

  /// The positions that can occur: 0 up to this.
  package var positionCount: Int {
    switch self {
    case .sequences(_, let sequence), .packed(_, let sequence): sequence
    case .continued(_, let capacity): capacity
    }
  }
}
