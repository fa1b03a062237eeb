/// Reads Python's regular-expression syntax, as far as ``ModulePattern`` goes.
struct PatternParser {
  private static let maximumDepth = 100
  private static let maximumRepetition = 1000

  private let text: String
  private let scalars: [UInt8]
  private var position = 0
  private var depth = 0

  init(_ text: String) {
    self.text = text
    scalars = Array(text.utf8)
  }

  mutating func parse() throws(AdapterError) -> PatternNode {
    let node = try parseChoice()
    guard position == scalars.count else { throw problem("unbalanced parenthesis") }
    return node
  }

  private func problem(_ words: String) -> AdapterError {
    AdapterError(.invalidPattern(pattern: text, position: position, problem: words))
  }

  private var next: UInt8? { position < scalars.count ? scalars[position] : nil }

  private mutating func take(_ literal: String) -> Bool {
    guard scalars[position...].starts(with: literal.utf8) else { return false }
    position += literal.utf8.count
    return true
  }

  // MARK: - Grammar

  private mutating func parseChoice() throws(AdapterError) -> PatternNode {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.maximumDepth else { throw problem("groups are nested too deeply") }
    var branches = [try parseSequence()]
    while take("|") { branches.append(try parseSequence()) }
    return branches.count == 1 ? branches[0] : .choice(branches)
  }

  private mutating func parseSequence() throws(AdapterError) -> PatternNode {
    var parts: [PatternNode] = []
    while let byte = next, byte != UInt8(ascii: "|"), byte != UInt8(ascii: ")") {
      parts.append(try parseRepetition(of: try parseAtom()))
    }
    return .sequence(parts)
  }

  private mutating func parseRepetition(of atom: PatternNode) throws(AdapterError) -> PatternNode {
    let node: PatternNode
    if take("*") {
      node = .repeated(atom, minimum: 0, maximum: nil)
    } else if take("+") {
      node = .repeated(atom, minimum: 1, maximum: nil)
    } else if take("?") {
      node = .repeated(atom, minimum: 0, maximum: 1)
    } else if next == UInt8(ascii: "{"), let counts = try parseCounts() {
      node = .repeated(atom, minimum: counts.minimum, maximum: counts.maximum)
    } else {
      return atom
    }
    // A lazy repetition matches the same whole strings as a greedy one.
    if take("?") { return node }
    if let byte = next, "*+".utf8.contains(byte) { throw problem("nothing to repeat") }
    return node
  }

  /// `{m}`, `{m,}`, `{,n}` or `{m,n}`; anything else is literal text, as in Python.
  private mutating func parseCounts() throws(AdapterError) -> (minimum: Int, maximum: Int?)? {
    let start = position
    guard take("{") else { return nil }
    let minimum = parseNumber()
    let comma = take(",")
    let maximum = comma ? parseNumber() : minimum
    guard take("}"), minimum != nil || comma else {
      position = start
      return nil
    }
    let most = maximum ?? minimum ?? 0
    guard most <= Self.maximumRepetition, minimum ?? 0 <= Self.maximumRepetition else {
      throw problem("a repetition above \(Self.maximumRepetition)")
    }
    if let maximum, maximum < minimum ?? 0 { throw problem("a repetition from more to less") }
    return (minimum ?? 0, maximum)
  }

  private mutating func parseNumber() -> Int? {
    var value: Int?
    while let byte = next, ByteSet.digits.contains(byte) {
      value = min((value ?? 0) * 10 + Int(byte - UInt8(ascii: "0")), 1_000_000)
      position += 1
    }
    return value
  }

  private mutating func parseAtom() throws(AdapterError) -> PatternNode {
    guard let byte = next else { throw problem("nothing to match") }
    switch byte {
    case UInt8(ascii: "("): return try parseGroup()
    case UInt8(ascii: "["): return .character(in: try parseClass())
    case UInt8(ascii: "\\"): return try parseEscape()
    case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"): throw problem("nothing to repeat")
    default: break
    }
    position += 1
    switch byte {
    case UInt8(ascii: "."): return .character(in: .notNewline)
    case UInt8(ascii: "^"): return .start
    case UInt8(ascii: "$"): return .end
    default: return .bytes(ByteSet(bytes: [byte]))
    }
  }

  private mutating func parseGroup() throws(AdapterError) -> PatternNode {
    position += 1
    var look: Bool?
    if take("?=") {
      look = false
    } else if take("?!") {
      look = true
    } else if take("?<=") || take("?<!") {
      throw problem("look-behind isn't supported")
    } else if take("?P<") || take("?<") {
      while let byte = next, byte != UInt8(ascii: ">") {
        guard ByteSet.word.contains(byte) else { throw problem("a malformed group name") }
        position += 1
      }
      guard take(">") else { throw problem("a malformed group name") }
    } else if !take("?:"), next == UInt8(ascii: "?") {
      throw problem("this kind of group isn't supported")
    }
    let inner = try parseChoice()
    guard take(")") else { throw problem("a missing parenthesis") }
    return look.map { .look(inner, negated: $0) } ?? inner
  }

  private mutating func parseEscape() throws(AdapterError) -> PatternNode {
    position += 1
    if take("A") { return .start }
    if take("Z") { return .end }
    return .character(in: try parseEscapedSet())
  }

  /// What follows a backslash, inside a class or outside.
  private mutating func parseEscapedSet() throws(AdapterError) -> ByteSet {
    guard let byte = next else { throw problem("a backslash at the end") }
    guard ByteSet.word.contains(byte) else {
      position += 1
      return ByteSet(bytes: [byte])
    }
    let set: ByteSet
    switch byte {
    case UInt8(ascii: "d"): set = .digits
    case UInt8(ascii: "D"): set = ByteSet.digits.complement
    case UInt8(ascii: "w"): set = .word
    case UInt8(ascii: "W"): set = ByteSet.word.complement
    case UInt8(ascii: "s"): set = .space
    case UInt8(ascii: "S"): set = ByteSet.space.complement
    case UInt8(ascii: "n"): set = ByteSet(bytes: [10])
    case UInt8(ascii: "t"): set = ByteSet(bytes: [9])
    case UInt8(ascii: "_"): set = ByteSet(bytes: [byte])
    default: throw problem("this escape isn't supported")
    }
    position += 1
    return set
  }

  private mutating func parseClass() throws(AdapterError) -> ByteSet {
    position += 1
    let negated = take("^")
    var set = ByteSet()
    var isFirst = true
    while isFirst || next != UInt8(ascii: "]") {
      isFirst = false
      guard let low = next else { throw problem("a missing bracket") }
      guard low < 0x80 else { throw problem("a class of characters outside ASCII") }
      position += 1
      if low == UInt8(ascii: "\\") {
        set.formUnion(try parseEscapedSet())
      } else if next == UInt8(ascii: "-"), position + 1 < scalars.count,
        scalars[position + 1] != UInt8(ascii: "]")
      {
        let high = scalars[position + 1]
        guard low <= high, high < 0x80, high != UInt8(ascii: "\\") else {
          throw problem("a malformed range")
        }
        for byte in low...high { set.insert(byte) }
        position += 2
      } else {
        set.insert(low)
      }
    }
    position += 1
    return negated ? set.complement : set
  }
}
