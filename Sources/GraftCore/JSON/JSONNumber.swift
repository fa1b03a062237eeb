/// A number as it is spelled in a JSON text.
public struct JSONNumber: Sendable, Equatable {
  /// The spelling; two spellings of one value are two different numbers.
  public let text: String

  /// Takes over a spelling that the scanner has checked.
  init(checked text: String) { self.text = text }

  /// Spells an integer.
  public init(_ value: some BinaryInteger) { text = String(value) }

  /// Spells a float in the shortest form that reads back as the same value; nil for NaN and infinities.
  public init?(_ value: Double) {
    guard value.isFinite else { return nil }
    text = value.description
  }

  /// Spells a float in the shortest form that reads back as the same value; nil for NaN and infinities.
  public init?(_ value: Float) {
    guard value.isFinite else { return nil }
    text = value.description
  }

  /// The value, when it is spelled as an integer that fits.
  public var int: Int? { Int(text) }

  /// The nearest double; infinite beyond its range.
  public var double: Double { Double(text) ?? .nan }
}
