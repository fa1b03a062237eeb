/// Turns the contents of tokens back into text.
indirect enum Decoder: Sendable {
  case byteLevel
  case metaspace(marker: Unicode.Scalar, dropsFirst: Bool)
  case byteFallback
  case fuse
  case replace(Normalizer)
  case strip(content: [UInt8], start: Int, stop: Int)
  case wordPiece(prefix: [UInt8], cleansUp: Bool)
  /// The end-of-word suffix becomes a space.
  case suffix([UInt8])
  case sequence([Decoder])

  /// The parts of a text, whose concatenation is the text.
  func decoded(_ tokens: [[UInt8]]) -> [[UInt8]] {
    switch self {
    case .byteLevel:
      [Self.repaired(tokens.flatMap { ByteAlphabet.decode($0) ?? $0 })]
    case .metaspace(let marker, let dropsFirst):
      tokens.enumerated().map { index, token in
        Self.withoutMarker(token, marker, drops: index == 0 && dropsFirst)
      }
    case .byteFallback: Self.joiningBytes(tokens)
    case .fuse: [Array(tokens.joined())]
    case .replace(let normalizer): tokens.map(normalizer.normalized)
    case .strip(let content, let start, let stop):
      tokens.map { Self.stripped($0, content, start, stop) }
    case .wordPiece(let prefix, let cleansUp):
      tokens.enumerated().map { index, token in
        var part = token
        if index > 0 {
          part =
            token.starts(with: prefix) ? Array(token.dropFirst(prefix.count)) : [0x20] + token
        }
        return cleansUp ? Self.cleaned(part) : part
      }
    case .suffix(let suffix):
      tokens.enumerated().map { index, token in
        guard !suffix.isEmpty, token.reversed().starts(with: suffix.reversed()) else {
          return token
        }
        return token.dropLast(suffix.count) + (index == tokens.count - 1 ? [] : [0x20])
      }
    case .sequence(let parts): parts.reduce(tokens) { $1.decoded($0) }
    }
  }

  /// The bytes a token adds to a text, in the middle of one.
  func bytes(of token: [UInt8]) -> [UInt8] {
    switch self {
    case .byteLevel: ByteAlphabet.decode(token) ?? token
    case .byteFallback: Self.byte(token).map { [$0] } ?? token
    case .metaspace(let marker, _): Self.withoutMarker(token, marker, drops: false)
    case .replace(let normalizer): normalizer.normalized(token)
    case .sequence(let parts):
      parts.reduce(token) { if case .strip = $1 { $0 } else { $1.bytes(of: $0) } }
    case .wordPiece(let prefix, _):
      token.starts(with: prefix) ? Array(token.dropFirst(prefix.count)) : [0x20] + token
    case .suffix: decoded([token, []])[0]
    case .fuse, .strip: token
    }
  }

  // MARK: - Parts

  private static func repaired(_ bytes: [UInt8]) -> [UInt8] {
    bytes.isASCII ? bytes : Array(String(decoding: bytes, as: UTF8.self).utf8)
  }

  private static func withoutMarker(
    _ token: [UInt8], _ marker: Unicode.Scalar, drops: Bool
  ) -> [UInt8] {
    var result = String.UnicodeScalarView()
    for scalar in String(decoding: token, as: UTF8.self).unicodeScalars {
      if scalar != marker { result.append(scalar) } else if !drops { result.append(" ") }
    }
    return Array(String(result).utf8)
  }

  /// The byte that a token like `<0x0A>` stands for.
  static func byte(_ token: some Collection<UInt8>) -> UInt8? {
    guard token.count == 6, token.starts(with: "<0x".utf8), token.dropFirst(5).first == 0x3E
    else { return nil }
    return UInt8(String(decoding: token.dropFirst(3).prefix(2), as: UTF8.self), radix: 16)
  }

  /// Joins runs of byte tokens to characters; a run that isn't UTF-8 becomes a replacement character a byte.
  private static func joiningBytes(_ tokens: [[UInt8]]) -> [[UInt8]] {
    var result: [[UInt8]] = []
    var run: [UInt8] = []
    for token in tokens {
      if let byte = byte(token) {
        run.append(byte)
        continue
      }
      flush()
      result.append(token)
    }
    flush()
    return result

    func flush() {
      guard !run.isEmpty else { return }
      let isValid = String(validating: run, as: UTF8.self) != nil
      result += isValid ? [run] : run.map { _ in Array("\u{FFFD}".utf8) }
      run = []
    }
  }

  private static func stripped(
    _ token: [UInt8], _ content: [UInt8], _ start: Int, _ stop: Int
  ) -> [UInt8] {
    guard !content.isEmpty else { return token }
    var rest = token[...]
    for _ in 0..<min(start, token.count) where rest.starts(with: content) {
      rest = rest.dropFirst(content.count)
    }
    for _ in 0..<min(stop, token.count) where rest.reversed().starts(with: content.reversed()) {
      rest = rest.dropLast(content.count)
    }
    return Array(rest)
  }

  /// Removes the spaces that word pieces leave before punctuation and contractions.
  private static func cleaned(_ token: [UInt8]) -> [UInt8] {
    let replacements: [(String, String)] = [
      (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"),
      (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ]
    var text = token
    for (from, to) in replacements { text = text.replacing(Array(from.utf8), with: Array(to.utf8)) }
    return text
  }
}
