/// Pulls the tokens of a JSON text (RFC 8259) one by one, without building a tree and without recursion.
///
/// The scanner is strict: what `Formats/json/SPEC.md` doesn't allow is an error with its rule and byte offset. Keys
/// of one object are not compared here; ``JSONValue/parse(_:file:)`` does that.
public struct JSONScanner: Sendable {
  /// How deep arrays and objects may nest.
  public static let maximumDepth = 512

  /// The text.
  public let bytes: [UInt8]
  /// The file named in errors.
  public let file: String
  /// Where the text begins in the file; added to the offsets of errors.
  public let base: Int
  /// The next byte to look at.
  public internal(set) var position = 0

  private enum Expectation { case value, firstElement, firstKey, key, separator, end }
  private var expectation = Expectation.value
  /// The open containers, outermost first: true for objects.
  private var containers: [Bool] = []

  /// Begins before the first token of a text.
  public init(_ bytes: [UInt8], file: String, base: Int = 0) {
    self.bytes = bytes
    self.file = file
    self.base = base
  }

  /// How many containers are open.
  public var depth: Int { containers.count }

  /// Whether a member or element was read and the next byte ends it: where a caller may go on by itself and ``resume(at:)``.
  package var isBehindValue: Bool { expectation == .separator }

  /// Goes on behind a later member or element of the same container, which the caller has read itself.
  ///
  /// - Precondition: ``isBehindValue``, and only whole members or elements lie between.
  package mutating func resume(at position: Int) {
    precondition(
      isBehindValue && position >= self.position && position <= bytes.count,
      "a place behind the same container's values")
    self.position = position
  }

  /// The next token.
  /// - Throws: ``StorageError`` with the rule that the text breaks.
  public mutating func next() throws(StorageError) -> JSONToken {
    skipWhitespace()
    if expectation == .separator {
      guard let inObject = containers.last else { return try end() }
      switch byte {
      case 0x2C:  // ,
        position += 1
        skipWhitespace()
        expectation = inObject ? .key : .value
      case 0x7D where inObject: return close(.objectEnd)
      case 0x5D where !inObject: return close(.arrayEnd)
      default:
        throw inObject
          ? malformed("json J-5", "',' or '}'") : malformed("json J-6", "',' or ']'")
      }
    }
    switch expectation {
    case .firstKey where byte == 0x7D: return close(.objectEnd)
    case .firstElement where byte == 0x5D: return close(.arrayEnd)
    case .firstKey, .key: return try key()
    case .value, .firstElement: return try value()
    case .separator, .end: return try end()
    }
  }

  /// Skips the rest of the value that `token` begins, containers and all.
  public mutating func skip(_ token: JSONToken) throws(StorageError) {
    guard token.kind == .objectStart || token.kind == .arrayStart else { return }
    let outer = depth - 1
    while depth > outer { _ = try next() }
  }

  // MARK: - Grammar

  private mutating func value() throws(StorageError) -> JSONToken {
    let start = position
    switch byte {
    case 0x7B:  // {
      return try open(.objectStart)
    case 0x5B:  // [
      return try open(.arrayStart)
    case 0x22:  // "
      let token = try scanString(.string)
      expectation = .separator
      return token
    case .some(0x2D), .some(0x30...0x39):  // -, 0...9
      try scanNumber()
      expectation = .separator
      return JSONToken(.number, start..<position)
    case 0x74: return try literal("true", .true)
    case 0x66: return try literal("false", .false)
    case 0x6E: return try literal("null", .null)
    case 0xEF where start == 0: throw malformed("json J-2", "no byte order mark")
    case nil: throw malformed(containers.isEmpty ? "json J-3" : "json J-4", "a value")
    default: throw malformed("json J-4", "a value")
    }
  }

  private mutating func key() throws(StorageError) -> JSONToken {
    guard byte == 0x22 else { throw malformed("json J-5", "a key in quotes") }
    let token = try scanString(.key)
    skipWhitespace()
    guard byte == 0x3A else { throw malformed("json J-5", "':'") }
    position += 1
    expectation = .value
    return token
  }

  private mutating func literal(
    _ word: StaticString, _ kind: JSONToken.Kind
  ) throws(StorageError) -> JSONToken {
    let start = position
    for expected in word.description.utf8 {
      guard byte == expected else { throw malformed("json J-4", "'\(word)'") }
      position += 1
    }
    expectation = .separator
    return JSONToken(kind, start..<position)
  }

  private mutating func open(_ kind: JSONToken.Kind) throws(StorageError) -> JSONToken {
    guard containers.count < Self.maximumDepth else {
      throw StorageError(
        .limitExceeded(
          limit: "nested containers (json J-12)", maximum: Self.maximumDepth,
          found: "another one"),
        file: file, offset: base + position)
    }
    containers.append(kind == .objectStart)
    expectation = kind == .objectStart ? .firstKey : .firstElement
    position += 1
    return JSONToken(kind, position - 1..<position)
  }

  private mutating func close(_ kind: JSONToken.Kind) -> JSONToken {
    containers.removeLast()
    expectation = .separator
    position += 1
    return JSONToken(kind, position - 1..<position)
  }

  private mutating func end() throws(StorageError) -> JSONToken {
    guard byte == nil else { throw malformed("json J-3", "nothing after the value") }
    expectation = .end
    return JSONToken(.end, position..<position)
  }

  private mutating func skipWhitespace() {
    while let byte, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  // MARK: - Bytes and errors

  /// The byte at the position; nil at the end.
  var byte: UInt8? { position < bytes.count ? bytes[position] : nil }

  /// The error for what stands at the position.
  func malformed(_ rule: String, _ expected: String) -> StorageError {
    let found =
      switch byte {
      case nil: "the end of the text"
      case .some(let byte) where byte > 0x20 && byte < 0x7F:
        "'\(Unicode.Scalar(byte))'"
      case .some(let byte): "byte 0x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
      }
    return StorageError(
      .malformed(rule: rule, expected: expected, found: found), file: file,
      offset: base + position)
  }
}
