/// Tokens that are found in the text before the model sees it.
struct AddedTokens: Sendable {
  /// One added token.
  struct Token: Sendable, Equatable {
    var id: Int32
    var content: [UInt8]
    var isSpecial: Bool
    /// Whether it is looked for in normalized text.
    var isNormalized: Bool
    var isSingleWord: Bool
    /// Whether it takes the white space before it.
    var stripsLeft: Bool
    /// Whether it takes the white space after it.
    var stripsRight: Bool
  }

  /// A part of a text: an added token, or the range between two.
  enum Part: Equatable {
    case token(Int32)
    case text(Range<Int>)
  }

  private let tokens: [Token]
  private var edges: [UInt64: Int32] = [:]
  /// The token that ends at each node, -1 for none.
  private var ends: [Int32] = [-1]
  private var startsToken = [Bool](repeating: false, count: 256)

  /// Whether there are none.
  var isEmpty: Bool { tokens.isEmpty }

  /// Makes the finder of tokens whose spelling in the text is `spelling`.
  init(_ tokens: [Token], spelling: (Token) -> [UInt8]) {
    var kept: [Token] = []
    for token in tokens {
      let text = spelling(token)
      guard let first = text.first else { continue }
      startsToken[Int(first)] = true
      var node: Int32 = 0
      for byte in text {
        let edge = Self.edge(node, byte)
        if let known = edges[edge] {
          node = known
        } else {
          node = Int32(ends.count)
          ends.append(-1)
          edges[edge] = node
        }
      }
      ends[Int(node)] = Int32(kept.count)
      kept.append(token)
    }
    self.tokens = kept
  }

  private static func edge(_ node: Int32, _ byte: UInt8) -> UInt64 {
    UInt64(UInt32(bitPattern: node)) << 8 | UInt64(byte)
  }

  /// The text cut at the tokens: at each place the longest, from left to right.
  func parts(of text: [UInt8], in range: Range<Int>) -> [Part] {
    guard !isEmpty else { return range.isEmpty ? [] : [.text(range)] }
    var parts: [Part] = []
    var kept = range.lowerBound
    var position = range.lowerBound
    let bytes = text.span
    let starts = startsToken.span
    while position < range.upperBound {
      guard starts[Int(bytes[position])],
        let (index, end) = longest(bytes, position, range.upperBound)
      else {
        position += 1
        continue
      }
      let token = tokens[index]
      let start = position
      position = end
      if token.isSingleWord, touchesWord(text[range], start, end) { continue }
      let low =
        token.stripsLeft ? whitespaceStart(bytes, start, notBefore: min(kept, start)) : start
      let high = token.stripsRight ? whitespaceEnd(bytes, end, range.upperBound) : end
      if kept < low { parts.append(.text(kept..<low)) }
      parts.append(.token(token.id))
      kept = high
    }
    if kept < range.upperBound { parts.append(.text(kept..<range.upperBound)) }
    return parts
  }

  /// The longest token that begins at a place, and where it ends.
  private func longest(_ text: Span<UInt8>, _ start: Int, _ limit: Int) -> (Int, Int)? {
    var node: Int32 = 0
    var position = start
    var found: (Int, Int)?
    while position < limit, let next = edges[Self.edge(node, text[position])] {
      node = next
      position += 1
      if ends[Int(node)] >= 0 { found = (Int(ends[Int(node)]), position) }
    }
    return found
  }

  private func touchesWord(_ text: ArraySlice<UInt8>, _ start: Int, _ end: Int) -> Bool {
    let before = String(decoding: text[..<start].suffix(4), as: UTF8.self).unicodeScalars.last
    let after = String(decoding: text[end...].prefix(4), as: UTF8.self).unicodeScalars.first
    return [before, after].contains { $0.map(ScalarSet.wordCharacters.contains) ?? false }
  }

  private func whitespaceStart(_ text: Span<UInt8>, _ end: Int, notBefore limit: Int) -> Int {
    var start = end
    while start > limit {
      var position = start - 1
      while position > limit, text[position] & 0xC0 == 0x80 { position -= 1 }
      guard isWhitespace(text, position) else { break }
      start = position
    }
    return start
  }

  private func whitespaceEnd(_ text: Span<UInt8>, _ start: Int, _ limit: Int) -> Int {
    var end = start
    while end < limit, isWhitespace(text, end) { end += text.scalar(at: end).length }
    return end
  }

  private func isWhitespace(_ text: Span<UInt8>, _ position: Int) -> Bool {
    Unicode.Scalar(text.scalar(at: position).value)?.properties.isWhitespace ?? false
  }
}
