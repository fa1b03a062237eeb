import GraftCore
import TestSupport
import Testing

/// The texts of `Formats/json/suite`, judged as `Formats/json/SPEC.md` says.
struct JSONSuiteTests {
  static let names =
    (try? Directory.entries(of: Repository.path("Formats/json/suite")))?
    .filter { $0.hasSuffix(".json") } ?? []

  static func decisions() throws -> JSONValue {
    try JSONValue.parse(Repository.bytes("Formats/json/decisions.json"), file: "decisions.json")
  }

  @Test func `the whole suite is there`() {
    #expect(Self.names.count == 316)
    #expect(Self.names.count { $0.hasPrefix("y_") } == 95)
    #expect(Self.names.count { $0.hasPrefix("i_") } == 35)
  }

  @Test(arguments: names)
  func `judges a text as the suite and the decisions say`(name: String) throws {
    let decision = try Self.decisions()[name]?.string
    let bytes = try Repository.bytes("Formats/json/suite/" + name)
    let isAccepted = decision.map { $0 == "accept" } ?? name.hasPrefix("y_")
    if isAccepted {
      let value = try JSONValue.parse(bytes, file: name)
      let again = Array(value.serialized().utf8)
      #expect(try JSONValue.parse(again, file: name) == value)
      let compact = Array(value.serialized(indent: nil).utf8)
      #expect(try JSONValue.parse(compact, file: name) == value)
    } else {
      let error = try #require(throws: StorageError.self) {
        try JSONValue.parse(bytes, file: name)
      }
      guard case .malformed(let rule, _, _) = error.reason else {
        Issue.record("expected a broken rule, got \(error)")
        return
      }
      #expect((0...bytes.count).contains(try #require(error.offset)))
      if let decision { #expect(rule == decision) }
    }
  }

  @Test(arguments: ["[", "{\"\":", "[{\"\":"])
  func `a hundred thousand open brackets are a limit, not a crash`(opening: String) throws {
    let bytes = Array(String(repeating: opening, count: 100_000).utf8)
    let error = try #require(throws: StorageError.self) {
      try JSONValue.parse(bytes, file: "deep")
    }
    #expect(
      error.reason
        == .limitExceeded(
          limit: "nested containers (json J-12)", maximum: 512, found: "another one"))
  }

  @Test func `every rule of the page is in the sources and the other way round`() throws {
    let page = String(decoding: try Repository.bytes("Formats/json/SPEC.md"), as: UTF8.self)
    let folder = "Sources/GraftCore/JSON"
    var sources = ""
    for file in try Directory.entries(of: Repository.path(folder)) {
      sources += String(decoding: try Repository.bytes(folder + "/" + file), as: UTF8.self)
    }
    let stated = Set(page.matches(of: /\n\| (J-\d+) \|/).map { String($0.1) })
    let cited = Set(sources.matches(of: /json (J-\d+)/).map { String($0.1) })
    #expect(stated == cited)
    #expect(stated.count == 12)
  }
}
