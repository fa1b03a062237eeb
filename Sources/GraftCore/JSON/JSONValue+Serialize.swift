extension JSONValue {
  /// The value as JSON text.
  ///
  /// - Parameters:
  ///   - indent: Spaces for each level, every member on its own line; nil for one line without spaces.
  ///   - sortedKeys: Whether members are ordered by the bytes of their keys instead of their source order.
  public func serialized(indent: Int? = 2, sortedKeys: Bool = false) -> String {
    var writer = JSONWriter(indent: indent)
    writer.value(self, sortedKeys: sortedKeys)
    return String(decoding: writer.bytes, as: UTF8.self)
  }

  /// Appends a string in quotes with the escapes that JSON demands and no others.
  package static func quote(_ string: String, to text: inout String) {
    var bytes: [UInt8] = []
    bytes.append(quoted: string)
    text += String(decoding: bytes, as: UTF8.self)
  }
}
