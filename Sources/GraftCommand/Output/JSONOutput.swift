import Graft

extension Standard {
  /// Prints a value as JSON and a line feed.
  static func output(json value: JSONValue) {
    stream(json: Array(value.serialized().utf8))
    stream("\n")
  }

  /// Prints JSON text, or a piece of one that ends between characters.
  static func stream(json text: [UInt8]) {
    var start = 0
    while start < text.count {
      let end = text.endOfPiece(from: start, atMost: pieceBytes)
      stream(String(decoding: text[start..<end], as: UTF8.self).escapedJSON)
      start = end
    }
  }

  /// What is printed at once: a long value isn't in memory once more.
  private static let pieceBytes = 1 << 16
}

extension String {
  /// A JSON text in which what controls a terminal or the direction of text is escaped.
  ///
  /// Such characters stand in strings alone, and an escaped one is the same character.
  var escapedJSON: String {
    guard utf8.contains(where: { $0 >= 0x7F }) else { return self }
    var result = ""
    for scalar in unicodeScalars {
      switch scalar.value {
      // DEL, the controls C1, and what has the property Bidi_Control.
      case 0x7F...0x9F, 0x61C, 0x200E...0x200F, 0x202A...0x202E, 0x2066...0x2069:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
