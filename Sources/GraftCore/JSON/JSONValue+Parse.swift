extension JSONValue {
  /// Parses a JSON text strictly: RFC 8259, valid UTF-8, no repeated keys, bounded depth.
  ///
  /// - Throws: ``StorageError`` with the rule of `Formats/json/SPEC.md` that is broken and its byte offset.
  public static func parse(_ bytes: [UInt8], file: String) throws(StorageError) -> JSONValue {
    var scanner = JSONScanner(bytes, file: file)
    var open: [Container] = []
    while true {
      let token = try scanner.next()
      var value: JSONValue
      switch token.kind {
      case .key:
        open[open.count - 1].keys.append(scanner.text(of: token))
        open[open.count - 1].offsets.append(token.range.lowerBound)
        continue
      case .objectStart, .arrayStart:
        open.append(Container())
        continue
      case .objectEnd: value = .object(try open.removeLast().object(in: scanner))
      case .arrayEnd: value = .array(open.removeLast().values)
      case .string: value = .string(scanner.text(of: token))
      case .number:
        let spelling = String(decoding: bytes[token.range], as: UTF8.self)
        value = .number(JSONNumber(checked: spelling))
      case .true: value = true
      case .false: value = false
      case .null, .end: value = .null
      }
      guard open.isEmpty else {
        open[open.count - 1].values.append(value)
        continue
      }
      _ = try scanner.next()
      return value
    }
  }

  /// An array or object whose end hasn't been met.
  private struct Container {
    var values: [JSONValue] = []
    var keys: [String] = []
    var offsets: [Int] = []

    func object(in scanner: JSONScanner) throws(StorageError) -> JSONObject {
      let object = JSONObject(members: zip(keys, values).map { (key: $0, value: $1) })
      if let position = object.duplicate {
        throw .repeated(
          keys[position], rule: "json J-11", file: scanner.file,
          offset: scanner.base + offsets[position])
      }
      return object
    }
  }
}
