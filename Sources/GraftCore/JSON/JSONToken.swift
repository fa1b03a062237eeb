/// One lexeme of a JSON text, as ``JSONScanner`` meets it.
public struct JSONToken: Sendable, Equatable {
  /// The kinds of lexeme; commas and colons are consumed by the scanner.
  public enum Kind: Sendable, Equatable {
    case objectStart, objectEnd, arrayStart, arrayEnd
    /// A string before a colon.
    case key
    case string, number, `true`, `false`, null
    /// The text is over; nothing but white space stood after its value.
    case end
  }

  /// What was met.
  public let kind: Kind
  /// Its bytes in the text; without the quotes for keys and strings.
  public let range: Range<Int>
  /// Whether a key or string has escapes, so that its bytes aren't its value yet.
  public let hasEscapes: Bool

  init(_ kind: Kind, _ range: Range<Int>, hasEscapes: Bool = false) {
    self.kind = kind
    self.range = range
    self.hasEscapes = hasEscapes
  }
}
