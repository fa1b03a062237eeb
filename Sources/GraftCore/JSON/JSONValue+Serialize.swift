extension JSONValue {
  /// The value as JSON text.
  ///
  /// - Parameters:
  ///   - indent: Spaces for each level, every member on its own line; nil for one line without spaces.
  ///   - sortedKeys: Whether members are ordered by the bytes of their keys instead of their source order.
  public func serialized(indent: Int? = 2, sortedKeys: Bool = false) -> String {
    var text = ""
    write(to: &text, indent: indent, sortedKeys: sortedKeys, level: 0)
    return text
  }

  private func write(to text: inout String, indent: Int?, sortedKeys: Bool, level: Int) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .number(let number): text += number.text
    case .string(let string): JSONValue.quote(string, to: &text)
    case .array(let elements):
      JSONValue.enclose("[", elements, "]", to: &text, indent: indent, level: level) {
        $0.write(to: &$1, indent: indent, sortedKeys: sortedKeys, level: level + 1)
      }
    case .object(let object):
      let members =
        sortedKeys
        ? object.members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        : object.members
      JSONValue.enclose("{", members, "}", to: &text, indent: indent, level: level) {
        JSONValue.quote($0.key, to: &$1)
        $1 += indent == nil ? ":" : ": "
        $0.value.write(to: &$1, indent: indent, sortedKeys: sortedKeys, level: level + 1)
      }
    }
  }

  private static func enclose<Item>(
    _ opening: String, _ items: [Item], _ closing: String, to text: inout String, indent: Int?,
    level: Int, _ write: (Item, inout String) -> Void
  ) {
    text += opening
    for (position, item) in items.enumerated() {
      if position > 0 { text += "," }
      if let indent { text += "\n" + String(repeating: " ", count: indent * (level + 1)) }
      write(item, &text)
    }
    if let indent, !items.isEmpty { text += "\n" + String(repeating: " ", count: indent * level) }
    text += closing
  }

  /// Appends a string in quotes with the escapes that JSON demands and no others.
  package static func quote(_ string: String, to text: inout String) {
    text += "\""
    for scalar in string.unicodeScalars {
      switch scalar.value {
      case 0x22: text += "\\\""
      case 0x5C: text += "\\\\"
      case 0x08: text += "\\b"
      case 0x09: text += "\\t"
      case 0x0A: text += "\\n"
      case 0x0C: text += "\\f"
      case 0x0D: text += "\\r"
      case 0..<0x20:
        text += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}
