import GraftCore

extension FuzzTarget {
  /// Accepted: the same value when written, dense or indented, and read again.
  static let json = FuzzTarget(
    "json", seeds: ["Formats/json/suite"],
    dictionary: ["\\u", "\\ud800", "\\udc00", "null", "true", "false", "1e400", "-0", "\u{feff}"],
    structure: .text,
    run: { bytes in
      guard let value = try? JSONValue.parse(bytes, file: "input") else { return }
      for indent in [nil, 2] as [Int?] {
        let text = Array(value.serialized(indent: indent).utf8)
        guard let again = try? JSONValue.parse(text, file: "written") else {
          fatalError("what was written is JSON")
        }
        promise(again == value, "the value is kept")
      }
    })
}
