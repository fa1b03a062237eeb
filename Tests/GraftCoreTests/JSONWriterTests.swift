import GraftCore
import Testing

@Suite struct `Writing JSON piece by piece` {
  @Test func `puts members on lines of their own, and those of one line side by side`() {
    var writer = JSONWriter()
    writer.open(.object)
    writer.member("a", 1)
    writer.key("b")
    writer.open(.array)
    writer.spelled { $0.append(decimal: -20) }
    writer.open(.object, onOneLine: true)
    writer.member("x", "y")
    writer.key("z")
    writer.open(.array)
    writer.value(true)
    writer.value(nil)
    writer.close()
    writer.close()
    writer.close()
    writer.key("c")
    writer.open(.object)
    writer.close()
    writer.close()
    #expect(
      String(decoding: writer.bytes, as: UTF8.self) == """
        {
          "a": 1,
          "b": [
            -20,
            {"x": "y", "z": [true, null]}
          ],
          "c": {}
        }
        """)
  }

  @Test func `gives the text in pieces`() {
    var writer = JSONWriter(indent: nil)
    writer.open(.array)
    writer.value(1)
    let first = writer.take()
    writer.value(2)
    writer.close()
    #expect(String(decoding: first + writer.take(), as: UTF8.self) == "[1,2]")
  }

  @Test(arguments: [
    0, 9, 10, 12_345_678, 123_456_789, 99_999_999_999_999_999, Int.max, -1, Int.min,
  ])
  func `spells integers`(value: Int) {
    var bytes: [UInt8] = []
    bytes.append(decimal: value)
    #expect(String(decoding: bytes, as: UTF8.self) == "\(value)")
  }

  @Test(arguments: [
    ("", #""""#), ("plain", #""plain""#), ("a\"b\\c/", #""a\"b\\c/""#),
    (
      "\u{0}\u{1}\u{8}\t\n\u{B}\u{C}\r\u{1F}\u{7F}",
      "\"\\u0000\\u0001\\b\\t\\n\\u000b\\f\\r\\u001f\u{7F}\""
    ),
    ("é漢\u{1F600}\"", "\"é漢\u{1F600}\\\"\""),
  ])
  func `quotes strings and names alike`(text: String, expected: String) {
    var (string, name): ([UInt8], [UInt8]) = ([], [])
    string.append(quoted: text)
    name.append(quoted: TensorName(text))
    #expect(String(decoding: string, as: UTF8.self) == expected)
    #expect(name == string)
    #expect(JSONValue.string(text).serialized() == expected)
  }

  @Test func `replaces what isn't UTF-8 in a name`() {
    var bytes: [UInt8] = []
    bytes.append(quoted: TensorName(utf8: [0x61, 0xFF, 0x62]))
    #expect(String(decoding: bytes, as: UTF8.self) == "\"a\u{FFFD}b\"")
  }
}
