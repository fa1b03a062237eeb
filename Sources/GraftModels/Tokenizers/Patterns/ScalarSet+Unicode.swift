extension ScalarSet {
  /// `\s`: white space.
  static let whitespace = matching { $0.properties.isWhitespace }

  /// `\d`: decimal digits.
  static let digits = categories([.decimalNumber])

  /// Decimal digits, letter numbers and other numbers, of the newest Unicode.
  static let numbers = matching {
    numberCategories.includes($0)
  }

  /// ASCII punctuation and symbols, and the punctuation of Unicode 8: what the peer's pre-tokenizers split at.
  static let punctuation = matching {
    switch $0.value {
    case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E: true
    default:
      punctuationCategories.includes($0)
        && $0.properties.age?.major ?? .max <= 8
    }
  }

  /// `\w`: letters, marks, decimal digits, connectors and joiners.
  static let wordCharacters = matching {
    ($0.properties.isAlphabetic || $0.properties.isJoinControl
      || wordCategories.includes($0)) && isKnown($0)
  }

  /// The code points of a Unicode property as regular expressions name it (`L`, `Lu`, `Letter`, `Han`…); nil when it isn't known.
  static func property(_ name: String) -> ScalarSet? {
    if let set = categoryNames[name] { return categories(set) }
    return switch name {
    case "White_Space", "space", "Space": whitespace
    case "Alphabetic", "Alpha": matching { $0.properties.isAlphabetic }
    default: nil
    }
  }

  /// Both cases of the letters of a set, one code point to one code point.
  var caseFolded: ScalarSet {
    var result = self
    for value in UInt32(0x41)..<0x250 {
      guard let scalar = Unicode.Scalar(value), contains(scalar) else { continue }
      for mapping in [scalar.properties.lowercaseMapping, scalar.properties.uppercaseMapping]
      where mapping.unicodeScalars.count == 1 {
        for other in mapping.unicodeScalars { result = result.union(ScalarSet(other)) }
      }
    }
    if contains("s") || contains("S") { result = result.union(ScalarSet("\u{17F}")) }
    if contains("k") || contains("K") { result = result.union(ScalarSet("\u{212A}")) }
    return result
  }

  // MARK: - Tables

  /// Beyond this code point only tags, variation selectors and private use are assigned.
  private static let tableLimit: UInt32 = 0x33500

  /// The general category of every code point below `tableLimit`, as a set.
  private static let table: [CategorySet] = (0..<tableLimit).map { value in
    guard let scalar = Unicode.Scalar(value), isKnown(scalar) else { return [] }
    return CategorySet(scalar.properties.generalCategory)
  }

  /// Whether Unicode 16, which the regular expressions of the `tokenizers` package follow, has the code point.
  private static func isKnown(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.age?.major ?? .max <= 16
  }

  private static func categories(_ wanted: CategorySet) -> ScalarSet {
    var result = ScalarSet()
    let table = table
    var start: Int?
    for value in 0...table.count {
      let belongs = value < table.count && !table[value].isDisjoint(with: wanted)
      if belongs, start == nil { start = value }
      if !belongs, let first = start {
        result.append(UInt32(first)..<UInt32(value))
        start = nil
      }
    }
    for value in UInt32(0xE0000)..<0xE0200 {
      if let scalar = Unicode.Scalar(value),
        wanted.includes(scalar)
      {
        result.append(value..<value + 1)
      }
    }
    return result
  }

  private static func matching(_ belongs: (Unicode.Scalar) -> Bool) -> ScalarSet {
    var result = ScalarSet()
    for value in Array(0..<tableLimit) + Array(0xE0000..<0xE0200) {
      if let scalar = Unicode.Scalar(value), belongs(scalar) {
        result.append(value..<value + 1)
      }
    }
    return result
  }

  private static let numberCategories: CategorySet = [
    .decimalNumber, .letterNumber, .otherNumber,
  ]
  private static let punctuationCategories: CategorySet = [
    .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
    .initialPunctuation, .finalPunctuation, .otherPunctuation,
  ]
  private static let wordCategories: CategorySet = [
    .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation,
  ]

  private static let categoryNames: [String: CategorySet] = [
    "L": [.uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter],
    "Letter": [
      .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter,
    ],
    "Lu": [.uppercaseLetter], "Ll": [.lowercaseLetter], "Lt": [.titlecaseLetter],
    "Lm": [.modifierLetter], "Lo": [.otherLetter],
    "N": numberCategories, "Number": numberCategories,
    "Nd": [.decimalNumber], "Nl": [.letterNumber], "No": [.otherNumber],
    "P": punctuationCategories, "Punctuation": punctuationCategories,
    "Pc": [.connectorPunctuation], "Pd": [.dashPunctuation], "Ps": [.openPunctuation],
    "Pe": [.closePunctuation], "Pi": [.initialPunctuation], "Pf": [.finalPunctuation],
    "Po": [.otherPunctuation],
    "S": [.mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol],
    "Sm": [.mathSymbol], "Sc": [.currencySymbol], "Sk": [.modifierSymbol], "So": [.otherSymbol],
    "M": [.nonspacingMark, .spacingMark, .enclosingMark],
    "Mn": [.nonspacingMark], "Mc": [.spacingMark], "Me": [.enclosingMark],
    "Z": [.spaceSeparator, .lineSeparator, .paragraphSeparator],
    "Zs": [.spaceSeparator], "Zl": [.lineSeparator], "Zp": [.paragraphSeparator],
    "Cc": [.control], "Cf": [.format],
  ]
}
