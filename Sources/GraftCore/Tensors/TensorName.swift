/// The name of a tensor: a byte string, compared byte by byte.
///
/// Swift's `String ==` merges canonically equivalent spellings; two such names are two tensors.
public struct TensorName: Hashable, Sendable, Comparable {
  /// The UTF-8 bytes as they stand in the file.
  public let utf8: [UInt8]

  /// Makes a name from its bytes.
  public init(utf8: some Sequence<UInt8>) { self.utf8 = Array(utf8) }

  /// Makes a name from an array of its bytes, which it keeps.
  public init(utf8: [UInt8]) { self.utf8 = utf8 }

  /// Makes a name from text.
  public init(_ text: String) { self.utf8 = Array(text.utf8) }

  /// The name as text, for showing: invalid UTF-8 is replaced, so compare names themselves.
  public var text: String { String(decoding: utf8, as: UTF8.self) }

  /// Whether two names have the same bytes.
  public static func == (left: TensorName, right: TensorName) -> Bool {
    left.utf8.hasSameBytes(as: right.utf8)
  }

  /// Hashes the bytes.
  public func hash(into hasher: inout Hasher) { utf8.hashBytes(into: &hasher) }

  /// Orders names by their bytes.
  public static func < (left: TensorName, right: TensorName) -> Bool {
    left.utf8.precedes(right.utf8)
  }

  /// Whether the name ends with the bytes of `suffix`.
  public func hasSuffix(_ suffix: String) -> Bool {
    let count = suffix.utf8.count
    return utf8.count >= count && utf8.suffix(count).elementsEqual(suffix.utf8)
  }

  /// Whether the name begins with the bytes of `prefix`.
  public func hasPrefix(_ prefix: String) -> Bool { utf8.starts(with: prefix.utf8) }
}

extension TensorName: ExpressibleByStringLiteral {
  /// Makes a name from a literal.
  public init(stringLiteral value: String) { self.init(value) }
}

extension TensorName: CustomStringConvertible {
  /// The name as messages show it: safe for a terminal, and no longer than anyone reads.
  public var description: String { text.escapedShortened }
}

extension String {
  /// A name or a value as messages show it: escaped, and without its middle where it is longer than anyone reads.
  public var escapedShortened: String {
    let (head, tail) = (120, 79)
    guard utf8.count > head + tail + 1, unicodeScalars.count > head + tail + 1 else {
      return escapedWhole
    }
    return String(unicodeScalars.prefix(head)).escapedWhole + "…"
      + String(unicodeScalars.suffix(tail)).escapedWhole
  }

  /// A path or a sentence as messages show it: what controls a terminal, changes the direction of text or takes no room is escaped.
  public var escapedWhole: String {
    guard utf8.contains(where: { $0 < 0x20 || $0 > 0x7E }) else { return self }
    var result = ""
    for scalar in unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator:
        result += "\\u{" + String(scalar.value, radix: 16) + "}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
