internal import GraftCore

/// The few Python literals that a NumPy header is made of: a dictionary of texts, truth values and tuples of whole numbers.
///
/// Nothing is evaluated, and nothing nests but what the header needs.
struct PythonLiteral {
  /// A value of the dictionary.
  enum Value: Equatable {
    case text(String)
    case boolean(Bool)
    case tuple([Int])
    /// A list, which isn't read: its presence tells a structured type.
    case list
  }

  private let bytes: [UInt8]
  private var position: Int
  private let file: String
  private let base: Int?

  init(_ bytes: [UInt8], from position: Int, file: String, base: Int?) {
    self.bytes = bytes
    self.position = position
    self.file = file
    self.base = base
  }

  /// Reads a dictionary and the blanks to the end.
  ///
  /// - Throws: ``StorageError`` for anything else.
  mutating func dictionary() throws(StorageError)
    -> [(key: String, value: Value, position: Int)]
  {
    var entries: [(key: String, value: Value, position: Int)] = []
    try expect("{", "a dictionary")
    while !skip("}") {
      guard entries.count < 16 else { throw violation("N-5", "three keys", "many", at: position) }
      let key = try text()
      try expect(":", "a value behind its key")
      skipBlanks()
      let start = position
      let value = try value()
      entries.append((key, value, start))
      // A list ends the reading: a structured type has its own error, and nothing behind it counts.
      if value == .list { return entries + missing(entries.map(\.key), at: start) }
      guard skip(",") || next == UInt8(ascii: "}") else {
        throw violation("N-4", "a comma or the dictionary's end", found, at: position)
      }
    }
    skipBlanks()
    guard position == bytes.count else {
      throw violation("N-4", "nothing behind the dictionary", found, at: position)
    }
    return entries
  }

  /// Stand-ins for the keys that weren't reached.
  private func missing(_ keys: [String], at position: Int)
    -> [(key: String, value: Value, position: Int)]
  {
    ["descr", "fortran_order", "shape"].filter { !keys.contains($0) }.map {
      ($0, $0 == "shape" ? .tuple([]) : .boolean(false), position)
    }
  }

  private mutating func value() throws(StorageError) -> Value {
    switch next {
    case UInt8(ascii: "'"), UInt8(ascii: "\""): return .text(try text())
    case UInt8(ascii: "("): return .tuple(try tuple())
    case UInt8(ascii: "["): return .list
    default:
      for (word, value) in [("True", true), ("False", false)]
      where bytes[position...].starts(with: word.utf8) {
        position += word.utf8.count
        return .boolean(value)
      }
      throw violation("N-4", "a text, True, False or a tuple", found, at: position)
    }
  }

  private mutating func text() throws(StorageError) -> String {
    skipBlanks()
    guard let quote = next, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else {
      throw violation("N-4", "a text in quotes", found, at: position)
    }
    let start = position + 1
    guard let end = bytes[start...].firstIndex(of: quote),
      !bytes[start..<end].contains(UInt8(ascii: "\\")), !bytes[start..<end].contains(0x0A)
    else { throw violation("N-4", "a text without escapes", found, at: position) }
    position = end + 1
    return String(decoding: bytes[start..<end], as: UTF8.self)
  }

  /// Whole numbers in parentheses: (), (3,), (3, 4) and (3, 4,), with the L of Python 2 behind them.
  private mutating func tuple() throws(StorageError) -> [Int] {
    let start = position
    try expect("(", "a tuple")
    var values: [Int] = []
    while !skip(")") {
      skipBlanks()
      let digits = bytes[position...].prefix { (0x30...0x39).contains($0) }
      guard !digits.isEmpty, digits.count == 1 || digits.first != UInt8(ascii: "0") else {
        throw violation("N-7", "extents without a sign or a point", found, at: position)
      }
      guard let value = Int(String(decoding: digits, as: UTF8.self)) else {
        throw StorageError(
          .overflow(part: "array (numpy N-8)"), file: file, offset: base.map { $0 + position })
      }
      position += digits.count
      if next == UInt8(ascii: "L") { position += 1 }
      values.append(value)
      let hasComma = skip(",")
      guard hasComma || next == UInt8(ascii: ")"), hasComma || values.count > 1 else {
        throw violation("N-7", "a tuple of extents", found, at: start)
      }
    }
    return values
  }

  // MARK: - Bytes

  private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  private var found: String {
    String(decoding: bytes[min(position, bytes.count)...].prefix(16), as: UTF8.self)
  }

  private mutating func skipBlanks() {
    while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A { position += 1 }
  }

  private mutating func skip(_ character: Unicode.Scalar) -> Bool {
    skipBlanks()
    guard next == UInt8(ascii: character) else { return false }
    position += 1
    skipBlanks()
    return true
  }

  private mutating func expect(
    _ character: Unicode.Scalar, _ expected: String
  ) throws(StorageError) {
    guard skip(character) else { throw violation("N-4", expected, found, at: position) }
  }

  /// The error for a broken rule.
  func violation(
    _ rule: String, _ expected: String, _ found: String, at position: Int
  ) -> StorageError {
    StorageError(
      .malformed(rule: "numpy " + rule, expected: expected, found: found), file: file,
      offset: base.map { $0 + position })
  }
}
