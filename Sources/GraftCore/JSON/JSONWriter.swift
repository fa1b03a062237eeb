/// Writes a JSON text piece by piece into bytes: for results too long for a tree of values.
///
/// Members and elements stand on lines of their own, indented; those of a container that is opened `onOneLine` follow each other
/// behind ", ". The caller opens and closes in pairs and gives objects a key before each value.
public struct JSONWriter {
  /// What holds values.
  public enum Container: Sendable {
    case object, array
  }

  private struct Level {
    let container: Container
    let isOneLine: Bool
    var isEmpty = true
  }

  /// The text since the last ``take()``.
  public private(set) var bytes: [UInt8] = []
  private let indent: Int?
  private var levels: [Level] = []
  private var followsKey = false

  /// Begins a text.
  ///
  /// - Parameter indent: Spaces for each level; nil for a text on one line without spaces.
  public init(indent: Int? = 2) { self.indent = indent }

  /// Takes the room of a long text at once: a text that outgrows its room is in memory twice while it moves.
  public mutating func reserve(_ byteCount: Int) { bytes.reserveCapacity(byteCount) }

  /// The text so far, which is left empty for what follows.
  public mutating func take() -> [UInt8] {
    defer { bytes.removeAll(keepingCapacity: true) }
    return bytes
  }

  // MARK: - Containers

  /// Opens a container as the next value.
  public mutating func open(_ container: Container, onOneLine: Bool = false) {
    beginValue()
    bytes.append(container == .object ? 0x7B : 0x5B)
    levels.append(
      Level(container: container, isOneLine: onOneLine || levels.last?.isOneLine == true))
  }

  /// Closes the container opened last.
  public mutating func close() {
    guard let level = levels.popLast() else { return }
    if !level.isEmpty, !level.isOneLine { beginLine() }
    bytes.append(level.container == .object ? 0x7D : 0x5D)
  }

  /// Names the next value of an object.
  public mutating func key(_ key: String) {
    beginElement()
    bytes.append(quoted: key)
    bytes.append(0x3A)
    if indent != nil { bytes.append(0x20) }
    followsKey = true
  }

  // MARK: - Values

  /// A value with all it holds.
  public mutating func value(_ value: JSONValue, sortedKeys: Bool = false) {
    switch value {
    case .null: text("null")
    case .bool(let value): text(value ? "true" : "false")
    case .number(let number): text(number.text)
    case .string(let string):
      beginValue()
      bytes.append(quoted: string)
    case .array(let elements):
      open(.array)
      for element in elements { self.value(element, sortedKeys: sortedKeys) }
      close()
    case .object(let object):
      open(.object)
      let members =
        sortedKeys
        ? object.members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        : object.members
      for member in members {
        key(member.key)
        self.value(member.value, sortedKeys: sortedKeys)
      }
      close()
    }
  }

  /// A member of an object.
  public mutating func member(_ name: String, _ value: JSONValue) {
    key(name)
    self.value(value)
  }

  /// A value that the caller spells, for those that come by the 100,000.
  public mutating func spelled(_ spell: (inout [UInt8]) -> Void) {
    beginValue()
    spell(&bytes)
  }

  private mutating func text(_ text: String) {
    beginValue()
    bytes.append(contentsOf: text.utf8)
  }

  // MARK: - Layout

  private mutating func beginValue() {
    if followsKey { followsKey = false } else if !levels.isEmpty { beginElement() }
  }

  private mutating func beginElement() {
    guard let level = levels.last else { return }
    if !level.isEmpty { bytes.append(0x2C) }
    if !level.isOneLine {
      beginLine()
    } else if !level.isEmpty, indent != nil {
      bytes.append(0x20)
    }
    levels[levels.count - 1].isEmpty = false
  }

  private mutating func beginLine() {
    guard let indent else { return }
    bytes.append(0x0A)
    bytes.append(contentsOf: repeatElement(0x20, count: indent * levels.count))
  }
}

extension [UInt8] {
  /// Appends the decimal digits of an integer.
  public mutating func append(decimal value: Int) {
    if value < 0 { append(0x2D) }
    var rest = value.magnitude
    var digits: UInt64 = 0
    var more: UInt64 = 0
    var top: UInt64 = 0
    var count = 0
    // Twenty digits at most, eight to a word, the last digit lowest.
    repeat {
      let digit = UInt64(rest % 10 + 0x30)
      switch count / 8 {
      case 0: digits |= digit << UInt64(count % 8 * 8)
      case 1: more |= digit << UInt64(count % 8 * 8)
      default: top |= digit << UInt64(count % 8 * 8)
      }
      rest /= 10
      count += 1
    } while rest > 0
    while count > 0 {
      count -= 1
      let word = count >= 16 ? top : count >= 8 ? more : digits
      append(UInt8(truncatingIfNeeded: word >> UInt64(count % 8 * 8)))
    }
  }

  /// Appends the characters of a text.
  public mutating func append(text: StaticString) {
    text.withUTF8Buffer { unsafe append(contentsOf: $0) }
  }

  /// Appends a string in quotes with the escapes that JSON demands and no others.
  public mutating func append(quoted text: String) {
    append(0x22)
    append(escaping: text.utf8Span.span)
    append(0x22)
  }

  /// The bytes that a string has in quotes.
  package static func byteCount(quoted text: String) -> Int {
    let span = text.utf8Span.span
    var count = span.count + 2
    for index in 0..<span.count {
      switch span[index] {
      case 0x08, 0x09, 0x0A, 0x0C, 0x0D, 0x22, 0x5C: count += 1
      case 0..<0x20: count += 5
      default: break
      }
    }
    return count
  }

  /// Appends the bytes of a name in quotes; what isn't UTF-8 is replaced.
  public mutating func append(quoted name: TensorName) {
    guard name.utf8.isPlain else { return append(quoted: name.text) }
    append(0x22)
    append(contentsOf: name.utf8)
    append(0x22)
  }

  /// Appends well-formed UTF-8; runs without special characters are copied as they are.
  private mutating func append(escaping text: Span<UInt8>) {
    var start = 0
    for index in 0..<text.count {
      let byte = text[index]
      guard byte < 0x20 || byte == 0x22 || byte == 0x5C else { continue }
      append(text, start..<index)
      start = index + 1
      append(0x5C)
      switch byte {
      case 0x08: append(0x62)
      case 0x09: append(0x74)
      case 0x0A: append(0x6E)
      case 0x0C: append(0x66)
      case 0x0D: append(0x72)
      case 0..<0x20:
        append(text: "u00")
        append(byte < 16 ? 0x30 : 0x31)
        let low = byte & 15
        append(low < 10 ? 0x30 + low : 0x57 + low)
      default: append(byte)
      }
    }
    append(text, start..<text.count)
  }

  private mutating func append(_ text: Span<UInt8>, _ range: Range<Int>) {
    guard !range.isEmpty else { return }
    // Safety: extracting checks the bounds, and the pointer stays inside the closure.
    unsafe text.extracting(range).withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
  }

  /// Whether every byte is ASCII that stands in quotes as it is.
  private var isPlain: Bool {
    let span = span
    // No way out before the end, so that many bytes are looked at together.
    var found: UInt8 = 0
    for index in 0..<span.count {
      let byte = span[index]
      found |= byte & 0x80
      found |= byte < 0x20 || byte == 0x22 || byte == 0x5C ? 1 : 0
    }
    return found == 0
  }
}
