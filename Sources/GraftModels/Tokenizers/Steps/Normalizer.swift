@_spi(_Unicode) import Swift

/// Rewrites text before it is cut into words.
indirect enum Normalizer: Sendable {
  case nfc
  case nfd
  case nfkc
  case nfkd
  case lowercase
  case stripAccents
  case strip(left: Bool, right: Bool)
  case prepend([UInt8])
  /// Puts a text in place of every match of a pattern.
  case replace(Splitter, [UInt8])
  /// Puts a text in place of every space.
  case replaceSpaces([UInt8])
  /// BERT's, with the steps that it takes.
  case bert(cleans: Bool, spacesIdeographs: Bool, stripsAccents: Bool, lowercases: Bool)
  case sequence([Normalizer])

  /// The normalized text.
  func normalized(_ text: [UInt8]) -> [UInt8] {
    switch self {
    case .nfc:
      text.containsOnlyComposed ? text : Self.utf8(String(decoding: text, as: UTF8.self)._nfc)
    case .nfd: text.isASCII ? text : Self.utf8(String(decoding: text, as: UTF8.self)._nfd)
    case .nfkc:
      text.isASCII ? text : CompatibilityForm.composed(String(decoding: text, as: UTF8.self))
    case .nfkd:
      text.isASCII ? text : CompatibilityForm.decomposed(String(decoding: text, as: UTF8.self))
    case .lowercase: lowercased(text)
    case .stripAccents:
      Self.utf8(
        String(decoding: text, as: UTF8.self).unicodeScalars.filter {
          $0.properties.generalCategory != .nonspacingMark
        })
    case .strip(let left, let right): stripped(text, left, right)
    case .prepend(let prefix): text.isEmpty ? text : prefix + text
    case .replace(let splitter, let replacement): replacing(text, splitter, replacement)
    case .replaceSpaces(let replacement):
      text.contains(0x20) ? replacingSpaces(text, replacement) : text
    case .bert(let cleans, let spacesIdeographs, let stripsAccents, let lowercases):
      bert(text, cleans, spacesIdeographs, stripsAccents, lowercases)
    case .sequence(let parts): parts.reduce(text) { $1.normalized($0) }
    }
  }

  private static func utf8(_ scalars: some Sequence<Unicode.Scalar>) -> [UInt8] {
    var result: [UInt8] = []
    for scalar in scalars { result.append(contentsOf: UTF8.encode(scalar) ?? .init()) }
    return result
  }

  private func lowercased(_ text: [UInt8]) -> [UInt8] {
    if text.isASCII { return text.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 } }
    var result = ""
    for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
      result.unicodeScalars.append(contentsOf: scalar.properties.lowercaseMapping.unicodeScalars)
    }
    return Array(result.utf8)
  }

  private func bert(
    _ text: [UInt8], _ cleans: Bool, _ spacesIdeographs: Bool, _ stripsAccents: Bool,
    _ lowercases: Bool
  ) -> [UInt8] {
    var text = cleans ? BERTText.cleaned(text) : text
    if spacesIdeographs { text = BERTText.spacingIdeographs(text) }
    if stripsAccents { text = BERTText.strippingAccents(text) }
    return lowercases ? lowercased(text) : text
  }

  private func stripped(_ text: [UInt8], _ left: Bool, _ right: Bool) -> [UInt8] {
    var scalars = String(decoding: text, as: UTF8.self).unicodeScalars[...]
    while left, scalars.first?.properties.isWhitespace == true { scalars.removeFirst() }
    while right, scalars.last?.properties.isWhitespace == true { scalars.removeLast() }
    return Array(String(scalars).utf8)
  }

  private func replacingSpaces(_ text: [UInt8], _ replacement: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 2)
    for byte in text {
      if byte == 0x20 { result += replacement } else { result.append(byte) }
    }
    return result
  }

  private func replacing(
    _ text: [UInt8], _ splitter: Splitter, _ replacement: [UInt8]
  ) -> [UInt8] {
    var result: [UInt8] = []
    var position = 0
    splitter.split(text.span, from: 0, to: text.count) { start, end in
      if position < start {
        result += repeated(matches(text, splitter, position, start))
      }
      result += text[start..<end]
      position = end
    }
    result += repeated(matches(text, splitter, position, text.count))
    return result

    func repeated(_ times: Int) -> [UInt8] {
      times == 1 ? replacement : Array((0..<times).map { _ in replacement }.joined())
    }
  }

  /// How many matches stand one after the other in `text[start..<end]`.
  private func matches(_ text: [UInt8], _ splitter: Splitter, _ start: Int, _ end: Int) -> Int {
    var count = 0
    var position = start
    while position < end,
      let next = splitter.automaton.match(in: text.span, from: position, to: text.count)
    {
      count += 1
      position = next
    }
    return count
  }
}

extension [UInt8] {
  /// Whether every byte is ASCII.
  var isASCII: Bool { allSatisfy { $0 < 0x80 } }

  /// Whether every code point is below U+0300, where all text is in composed form.
  fileprivate var containsOnlyComposed: Bool { allSatisfy { $0 < 0xCC } }
}
