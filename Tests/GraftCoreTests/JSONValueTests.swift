import GraftCore
import Testing

struct JSONValueTests {
  static func parse(_ text: String) throws -> JSONValue {
    try JSONValue.parse(Array(text.utf8), file: "text")
  }

  @Test func `decodes escapes and surrogate pairs`() throws {
    let value = try Self.parse(#"["\"\\\/\b\f\n\r\t", "\u00e9\uD834\uDD1E"]"#)
    #expect(value[0]?.string == "\"\\/\u{8}\u{C}\n\r\t")
    #expect(value[1]?.string == "é𝄞")
    #expect(value[2] == nil)
  }

  @Test func `keeps canonically equivalent keys apart`() throws {
    let value = try Self.parse("{\"\u{E9}\": 1, \"e\u{301}\": 2}")
    #expect(value["\u{E9}"]?.int == 1)
    #expect(value["e\u{301}"]?.int == 2)
    #expect(value.object?.members.count == 2)
  }

  @Test(arguments: [
    #"{"a": 1, "a": 1}"#, #"{"a": 1, "\u0061": 2}"#, #"{"x": {"a": 1, "b": 2, "a": 3}}"#,
    #"{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1,"9":1,"1":1}"#,
  ])
  func `refuses a repeated key`(text: String) throws {
    let error = try #require(throws: StorageError.self) { try Self.parse(text) }
    guard case .malformed(rule: "json J-11", _, _) = error.reason else {
      Issue.record("\(error)")
      return
    }
  }

  @Test(
    arguments: [
      ("0", 0), ("-0", 0), ("9223372036854775807", Int.max), ("-9223372036854775808", Int.min),
      ("9223372036854775808", nil), ("1.0", nil), ("1e2", nil),
    ] as [(String, Int?)])
  func `reads integers that fit and no others`(text: String, value: Int?) throws {
    #expect(try Self.parse(text).int == value)
  }

  @Test(
    arguments: [
      ("0.1", 0.1), ("1e400", .infinity), ("-1e400", -.infinity), ("1e-400", 0), ("5e-324", 5e-324),
      ("2.2250738585072011e-308", 2.2250738585072011e-308), ("1e23", 1e23),
    ] as [(String, Double)])
  func `reads doubles correctly rounded`(text: String, value: Double) throws {
    #expect(try Self.parse(text).double == value)
  }

  @Test(arguments: [0.1, 1e-5, 5e-324, 1.7976931348623157e308, -0.0, 123456789.125, 1e16])
  func `writes doubles that read back as themselves`(value: Double) throws {
    let again = try Self.parse(JSONValue(value).serialized()).double
    #expect(again?.bitPattern == value.bitPattern)
  }

  @Test func `writes the layout of other tools`() {
    let value: JSONValue = ["b": [1, 2.5, nil], "a": ["x": true], "empty": [:], "none": []]
    #expect(
      value.serialized(sortedKeys: true) == """
        {
          "a": {
            "x": true
          },
          "b": [
            1,
            2.5,
            null
          ],
          "empty": {},
          "none": []
        }
        """)
    #expect(
      value.serialized(indent: nil)
        == #"{"b":[1,2.5,null],"a":{"x":true},"empty":{},"none":[]}"#)
    #expect(
      JSONValue.string("\u{1}\u{1F}\"\\é\u{7F}").serialized() == "\"\\u0001\\u001f\\\"\\\\é\u{7F}\""
    )
    #expect(JSONValue(Double.nan) == nil)
  }

  @Test(arguments: [
    ("", 0, "json J-3"), ("[1,]", 3, "json J-4"), (#"{"a" 1}"#, 5, "json J-5"),
    ("[1 2]", 3, "json J-6"),
    ("-", 1, "json J-7"), ("\"a\nb\"", 2, "json J-8"), (#""\x""#, 2, "json J-9"),
    (#"["\uDC00"]"#, 2, "json J-10"), ("{} {}", 3, "json J-3"), ("nul", 3, "json J-4"),
    (#"{"a":1,"b":2,"a":3}"#, 14, "json J-11"), ("\u{FEFF}1", 0, "json J-2"),
  ])
  func `an error carries the rule and the byte`(text: String, offset: Int, rule: String) throws {
    let error = try #require(throws: StorageError.self) { try Self.parse(text) }
    #expect(error.offset == offset)
    guard case .malformed(rule, _, _) = error.reason else {
      Issue.record("\(error)")
      return
    }
  }

  @Test func `skips whole values`() throws {
    var scanner = JSONScanner(Array(#"{"a": [1, {"b": []}], "c": 7}"#.utf8), file: "text")
    #expect(try scanner.next().kind == .objectStart)
    #expect(try scanner.next().kind == .key)
    try scanner.skip(scanner.next())
    #expect(scanner.text(of: try scanner.next()) == "c")
    #expect(scanner.unsigned(try scanner.next()) == 7)
    #expect(try scanner.next().kind == .objectEnd)
    #expect(try scanner.next().kind == .end)
  }
}
