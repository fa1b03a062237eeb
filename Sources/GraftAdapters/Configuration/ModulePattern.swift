/// A regular expression over module paths that decides in time linear in the path, whatever the expression.
///
/// Patterns come from `adapter_config.json`, so from strangers: a backtracking engine could be made to hang. This
/// one simulates all alternatives at once (Thompson 1968). The syntax is the part of Python's `re` that says whether
/// a whole string matches: literals, `.`, classes, `\d \w \s` and their complements, groups of every spelling,
/// alternation, `* + ? {m,n}`, `^ $`, look-ahead; `\d \w \s` mean ASCII. Back-references and look-behind are refused.
public struct ModulePattern: Sendable, Equatable {
  /// The expression as written.
  public let text: String
  private let program: PatternProgram

  /// Parses an expression.
  ///
  /// - Throws: ``AdapterError/Reason/invalidPattern(pattern:position:problem:)``.
  public init(_ text: String) throws(AdapterError) {
    self.text = text
    program = try PatternProgram(text)
  }

  /// What the expression takes of memory and time, in parts of a program.
  var cost: Int { program.partCount }

  /// Whether the whole path matches.
  public func matches(_ path: String) -> Bool {
    program.matches(Array(path.utf8))
  }

  /// Whether two patterns are written alike.
  public static func == (left: ModulePattern, right: ModulePattern) -> Bool {
    left.text == right.text
  }
}

/// A set of bytes.
struct ByteSet: Sendable {
  private var bits: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

  static let digits = ByteSet(UInt8(ascii: "0")...UInt8(ascii: "9"))
  static let space = ByteSet(bytes: [9, 10, 11, 12, 13, 32])
  static var word: ByteSet {
    var set = digits
    for letter in UInt8(ascii: "a")...UInt8(ascii: "z") { set.insert(letter) }
    for letter in UInt8(ascii: "A")...UInt8(ascii: "Z") { set.insert(letter) }
    set.insert(UInt8(ascii: "_"))
    return set
  }
  static let notNewline = ByteSet(bytes: [10]).complement

  init() {}
  init(bytes: some Sequence<UInt8>) { for byte in bytes { insert(byte) } }
  init(_ range: ClosedRange<UInt8>) { self.init(bytes: Array(range)) }

  mutating func insert(_ byte: UInt8) {
    let bit: UInt64 = 1 << UInt64(byte & 63)
    switch byte >> 6 {
    case 0: bits.0 |= bit
    case 1: bits.1 |= bit
    case 2: bits.2 |= bit
    default: bits.3 |= bit
    }
  }

  mutating func formUnion(_ other: ByteSet) {
    bits = (
      bits.0 | other.bits.0, bits.1 | other.bits.1, bits.2 | other.bits.2, bits.3 | other.bits.3
    )
  }

  var complement: ByteSet {
    var set = ByteSet()
    set.bits = (~bits.0, ~bits.1, ~bits.2, ~bits.3)
    return set
  }

  func contains(_ byte: UInt8) -> Bool {
    let part: UInt64 =
      switch byte >> 6 {
      case 0: bits.0
      case 1: bits.1
      case 2: bits.2
      default: bits.3
      }
    return part >> UInt64(byte & 63) & 1 == 1
  }
}
