/// Parses the regular expressions of tokenizers: Oniguruma's syntax without back references, look-behind, anchors
/// other than `$`, and possessive or atomic parts.
struct PatternParser {
  private let scalars: [Unicode.Scalar]
  private var position = 0
  private var ignoresCase = false
  private var depth = 0

  private static let maximumDepth = 64
  private static let maximumRepetition = 256
  private static let maximumLength = 1 << 13

  static func parse(_ text: String) throws(PatternError) -> Pattern {
    guard text.unicodeScalars.count <= maximumLength else {
      throw PatternError(feature: "an expression of more than \(maximumLength) characters")
    }
    var parser = PatternParser(scalars: Array(text.unicodeScalars))
    let pattern = try parser.alternatives()
    guard parser.position == parser.scalars.count else { throw PatternError(feature: "a lone )") }
    return pattern
  }

  private init(scalars: [Unicode.Scalar]) { self.scalars = scalars }

  // MARK: - Grammar

  private mutating func alternatives() throws(PatternError) -> Pattern {
    var result = [try sequence()]
    while take("|") { result.append(try sequence()) }
    return result.count == 1 ? result[0] : .alternatives(result)
  }

  private mutating func sequence() throws(PatternError) -> Pattern {
    var result: [Pattern] = []
    while let next, next != "|", next != ")" {
      result.append(try quantified(try atom()))
    }
    return result.count == 1 ? result[0] : result.isEmpty ? .empty : .sequence(result)
  }

  private mutating func atom() throws(PatternError) -> Pattern {
    guard let scalar = advance() else { throw PatternError(feature: "an expression cut short") }
    switch scalar {
    case "(": return try group()
    case "[": return .scalar(folded(try set()))
    case ".": return .scalar(ScalarSet("\n").inverted)
    case "$": return .lookahead(ScalarSet("\n"), orEnd: true)
    case "\\": return .scalar(folded(try escape()))
    case "^", "*", "+", "?": throw PatternError(feature: "\(scalar) at this place")
    default: return .scalar(folded(ScalarSet(scalar)))
    }
  }

  private mutating func group() throws(PatternError) -> Pattern {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.maximumDepth else { throw PatternError(feature: "groups this deep") }
    let outerCase = ignoresCase
    defer { ignoresCase = outerCase }
    if take("?!") || take("?=") {
      let negative = scalars[position - 1] == "!"
      guard case .scalar(let set) = try alternatives() else {
        throw PatternError(feature: "a look-ahead for more than one character")
      }
      guard take(")") else { throw PatternError(feature: "a group without end") }
      return .lookahead(negative ? set.inverted : set, orEnd: negative)
    }
    if take("?i:") {
      ignoresCase = true
    } else if take("?-i:") {
      ignoresCase = false
    } else if !take("?:"), next == "?" {
      throw PatternError(feature: "a group of the kind (?\(peek(1).map(String.init) ?? "")")
    }
    let pattern = try alternatives()
    guard take(")") else { throw PatternError(feature: "a group without end") }
    return pattern
  }

  private mutating func quantified(_ atom: Pattern) throws(PatternError) -> Pattern {
    let minimum: Int
    let maximum: Int?
    let braces = next == "{"
    if take("*") {
      (minimum, maximum) = (0, nil)
    } else if take("+") {
      (minimum, maximum) = (1, nil)
    } else if take("?") {
      (minimum, maximum) = (0, 1)
    } else if take("{") {
      (minimum, maximum) = try bounds()
    } else {
      return atom
    }
    if case .lookahead = atom { throw PatternError(feature: "a repeated look-ahead") }
    let greedy = braces || !take("?")
    if next == "+" || next == "*" || next == "?" || next == "{" {
      throw PatternError(feature: "a possessive or doubled quantifier")
    }
    return .repetition(atom, minimum: minimum, maximum: maximum, greedy: greedy)
  }

  private mutating func bounds() throws(PatternError) -> (Int, Int?) {
    let low = try number()
    var high: Int? = low
    if take(",") { high = next == "}" ? nil : try number() }
    guard take("}"), let low, low <= high ?? low else {
      throw PatternError(feature: "such a quantifier in braces")
    }
    return (low, high)
  }

  private mutating func number() throws(PatternError) -> Int? {
    var value: Int?
    while let next, ("0"..."9").contains(next) {
      position += 1
      value = (value ?? 0) * 10 + Int(next.value - 48)
      guard value ?? 0 <= Self.maximumRepetition else {
        throw PatternError(feature: "more than \(Self.maximumRepetition) repetitions")
      }
    }
    return value
  }

  // MARK: - Sets

  private mutating func set() throws(PatternError) -> ScalarSet {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.maximumDepth else { throw PatternError(feature: "sets this deep") }
    let negated = take("^")
    var result = ScalarSet()
    var isFirst = true
    while let scalar = advance() {
      if scalar == "]", !isFirst { return negated ? result.inverted : result }
      isFirst = false
      if scalar == "[" {
        if next == ":" { throw PatternError(feature: "a POSIX bracket") }
        result = result.union(try set())
      } else if scalar == "&", next == "&" {
        throw PatternError(feature: "an intersection of sets")
      } else {
        result = result.union(try member(scalar))
      }
    }
    throw PatternError(feature: "a set without end")
  }

  private mutating func member(_ scalar: Unicode.Scalar) throws(PatternError) -> ScalarSet {
    let low = scalar == "\\" ? try escape() : ScalarSet(scalar)
    guard next == "-", let after = peek(1), after != "]", low.isSingle else { return low }
    position += 2
    let high = after == "\\" ? try escape() : ScalarSet(after)
    guard high.isSingle, low.bounds[0] <= high.bounds[0] else {
      throw PatternError(feature: "a range without order")
    }
    return ScalarSet(low.bounds[0]..<high.bounds[1])
  }

  /// What follows a backslash, as a set.
  private mutating func escape() throws(PatternError) -> ScalarSet {
    guard let letter = advance() else { throw PatternError(feature: "a lone backslash") }
    switch letter {
    case "s": return .whitespace
    case "S": return ScalarSet.whitespace.inverted
    case "d": return .digits
    case "D": return ScalarSet.digits.inverted
    case "w": return .wordCharacters
    case "W": return ScalarSet.wordCharacters.inverted
    case "p", "P": return try property(negated: letter == "P")
    case "n": return ScalarSet("\n")
    case "r": return ScalarSet("\r")
    case "t": return ScalarSet("\t")
    case "f": return ScalarSet("\u{C}")
    case "v": return ScalarSet("\u{B}")
    case "x", "u": return try hexadecimal(digits: letter == "x" ? 2 : 4)
    case "a"..."z", "A"..."Z", "0"..."9":
      throw PatternError(feature: "the escape \\\(letter)")
    default: return ScalarSet(letter)
    }
  }

  private mutating func property(negated: Bool) throws(PatternError) -> ScalarSet {
    var negated = negated
    var name = ""
    if take("{") {
      if take("^") { negated.toggle() }
      while let next, next != "}" {
        name.unicodeScalars.append(next)
        position += 1
      }
      guard take("}") else { throw PatternError(feature: "a property without end") }
    } else if let letter = advance() {
      name = String(letter)
    }
    guard let set = ScalarSet.property(name) else {
      throw PatternError(feature: "the property \(name)")
    }
    return negated ? set.inverted : set
  }

  private mutating func hexadecimal(digits: Int) throws(PatternError) -> ScalarSet {
    var text = ""
    if take("{") {
      while let next, next != "}" {
        text.unicodeScalars.append(next)
        position += 1
      }
      guard take("}") else { throw PatternError(feature: "a code point without end") }
    } else {
      for _ in 0..<digits {
        if let digit = advance() { text.unicodeScalars.append(digit) }
      }
    }
    guard let value = UInt32(text, radix: 16), let scalar = Unicode.Scalar(value) else {
      throw PatternError(feature: "the code point \(text)")
    }
    return ScalarSet(scalar)
  }

  private func folded(_ set: ScalarSet) -> ScalarSet { ignoresCase ? set.caseFolded : set }

  // MARK: - Characters

  private var next: Unicode.Scalar? { peek(0) }

  private func peek(_ distance: Int) -> Unicode.Scalar? {
    position + distance < scalars.count ? scalars[position + distance] : nil
  }

  private mutating func advance() -> Unicode.Scalar? {
    guard let next else { return nil }
    position += 1
    return next
  }

  private mutating func take(_ text: String) -> Bool {
    let expected = Array(text.unicodeScalars)
    guard scalars[position...].starts(with: expected) else { return false }
    position += expected.count
    return true
  }
}

extension ScalarSet {
  fileprivate var isSingle: Bool { bounds.count == 2 && bounds[0] + 1 == bounds[1] }
}
