/// A piece of a text, and whether a model is to learn to write it.
public struct MarkedText: Sendable, Equatable {
  /// The piece.
  public var text: String
  /// Whether its tokens are predicted in training, or only read.
  public var isTarget: Bool

  /// Marks a piece.
  public init(_ text: String, isTarget: Bool) {
    self.text = text
    self.isTarget = isTarget
  }
}

extension Tokenizer {
  /// The ids of pieces read as one text, and for each whether it is to be learned.
  ///
  /// The pieces' borders don't change the tokens: a token that begins before a border counts to the piece in which it ends.
  public func encode(
    _ pieces: [MarkedText], addSpecialTokens: Bool
  ) -> (tokens: [Int32], isTarget: [Bool]) {
    var text: [UInt8] = []
    var borders: [(byte: Int, isTarget: Bool)] = []
    for piece in pieces where !piece.text.isEmpty {
      if borders.last?.isTarget != piece.isTarget { borders.append((text.count, piece.isTarget)) }
      text += Array(piece.text.utf8)
    }
    let body = encode(text, addSpecialTokens: false)
    let starts = [0] + borders.dropFirst().map { tokensBefore($0.byte, of: text, body) }
    var isTarget: [Bool] = []
    isTarget.reserveCapacity(body.count)
    for (index, border) in borders.enumerated() {
      let end = index + 1 < starts.count ? starts[index + 1] : body.count
      isTarget += [Bool](repeating: border.isTarget, count: max(end - isTarget.count, 0))
    }
    guard addSpecialTokens else { return (body, isTarget) }
    let (prefix, suffix) = (postProcessor.prefix, postProcessor.suffix)
    return (
      prefix + body + suffix,
      [Bool](repeating: false, count: prefix.count) + isTarget
        + [Bool](repeating: borders.last?.isTarget ?? false, count: suffix.count)
    )
  }

  /// The tokens that end at or before a byte: those that the text up to it begins with, too.
  private func tokensBefore(_ byte: Int, of text: [UInt8], _ tokens: [Int32]) -> Int {
    let head = encode(Array(text[..<byte]), addSpecialTokens: false)
    return zip(head, tokens).prefix { $0 == $1 }.count
  }
}
