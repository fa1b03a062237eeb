import GraftCore
import TestSupport
import Testing

/// `Formats/catalogue.md` against the vectors and the tests that it names.
struct CatalogueTests {
  struct Row: Sendable {
    let id: String
    let verdict: String
    let text: String

    /// What stands in backquotes.
    var cases: [String] { text.matches(of: /`([^`]+)`/).map { String($0.1) } }
  }

  static let rows: [Row] = {
    guard let bytes = try? Repository.bytes("Formats/catalogue.md") else { return [] }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
      let cells = line.split(separator: "|").map {
        $0.trimmingPrefix { $0 == " " }
      }
      guard cells.count == 4, cells[0].prefixMatch(of: #/[A-Z0-9]{2}-\d\d\b/#) != nil else {
        return nil
      }
      return Row(
        id: String(cells[0].prefix { $0 != " " }), verdict: String(cells[2].prefix { $0 != " " }),
        text: String(cells[3]))
    }
  }()

  /// All vectors, without their suffixes, by what becomes of them.
  private static func vectors() throws -> [String: String] {
    var result: [String: String] = [:]
    for format in try Directory.entries(of: Repository.path("Formats")) {
      for folder in ["accept", "reject"] {
        let path = "Formats/\(format)/\(folder)"
        guard Directory.exists(at: Repository.path(path)) else { continue }
        for name in try Directory.entries(of: Repository.path(path)) {
          let stem = name.split(separator: ".").first.map(String.init) ?? name
          result["\(format)/\(folder)/\(stem)"] = folder == "accept" ? "accepted" : "refused"
        }
      }
    }
    return result
  }

  /// The names of all tests.
  private static func tests() throws -> Set<String> {
    func names(below folder: String) throws -> [Substring] {
      try Directory.entries(of: Repository.path(folder)).flatMap { name -> [Substring] in
        let path = folder + "/" + name
        if Directory.exists(at: Repository.path(path)) { return try names(below: path) }
        guard name.hasSuffix("Tests.swift") else { return [] }
        let source = String(decoding: try Repository.bytes(path), as: UTF8.self)
        return source.matches(of: /func `([^`]+)`/).map(\.1)
      }
    }
    return Set(try names(below: "Tests").map(String.init))
  }

  @Test func `every row has cases with its verdict`() throws {
    let (vectors, tests) = (try Self.vectors(), try Self.tests())
    for row in Self.rows {
      #expect(["accepted", "refused", "either", "—"].contains(row.verdict), "\(row.id)")
      #expect(row.cases.isEmpty == (row.verdict == "—"), "\(row.id)")
      for name in row.cases where name.contains("/") {
        let found: [String: String]
        if let star = name.firstIndex(of: "*") {
          let (start, end) = (name[..<star], name[name.index(after: star)...])
          found = vectors.filter { $0.key.hasPrefix(start) && $0.key.hasSuffix(end) }
        } else {
          found = vectors.filter { $0.key == name }
        }
        #expect(!found.isEmpty, "\(row.id): there is no \(name)")
        guard row.verdict != "either" else { continue }
        #expect(found.values.allSatisfy { $0 == row.verdict }, "\(row.id): \(name)")
      }
      for name in row.cases where !name.contains("/") {
        #expect(tests.contains(name), "\(row.id): there is no test `\(name)`")
      }
    }
  }

  @Test func `rows are numbered once, and none is missing`() throws {
    #expect(Set(Self.rows.map(\.id)).count == Self.rows.count)
    let counts = Dictionary(grouping: Self.rows) { $0.id.prefix(2) }.mapValues(\.count)
    let expected: [Substring: Int] = [
      "ST": 55, "GG": 31, "H5": 36, "PK": 34, "NP": 12, "EM": 11, "IX": 20, "WR": 16,
    ]
    #expect(counts == expected)
  }
}
