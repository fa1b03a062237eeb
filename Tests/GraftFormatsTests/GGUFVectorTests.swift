import GraftCore
import GraftFormats
import TestSupport
import Testing

/// One row of `Formats/gguf/vectors.json`.
struct GGUFVector: Sendable, CustomTestStringConvertible {
  let file: String
  let row: JSONValue

  var testDescription: String { file }
  var path: String { Repository.path("Formats/gguf/" + file) }

  static let table: [GGUFVector] = {
    let name = "Formats/gguf/vectors.json"
    guard let rows = try? JSONValue.parse(Repository.bytes(name), file: name).array else {
      return []
    }
    return rows.map { GGUFVector(file: $0["file"]?.string ?? "", row: $0) }
  }()
}

struct GGUFVectorTests {
  @Test func `the table lists every file`() throws {
    var found = Set<String>()
    for verdict in ["accept", "reject"] {
      let folder = Repository.path("Formats/gguf/" + verdict)
      for name in try Directory.entries(of: folder) { found.insert(verdict + "/" + name) }
    }
    #expect(Set(GGUFVector.table.map(\.file)) == found)
    #expect(found.count == 97)
  }

  @Test(arguments: GGUFVector.table.filter { $0.row["verdict"] == "accept" })
  func `accepts`(vector: GGUFVector) throws {
    let reader = try GGUFReader(path: vector.path)
    let expected = try #require(vector.row["tensors"]?.array)
    #expect(reader.tensors.map(\.name.text) == expected.map { $0["name"]?.string })
    #expect(reader.tensors.map(\.dtype.rawValue) == expected.map { $0["dtype"]?.string })
    #expect(
      reader.tensors.map(\.shape.dimensions) == expected.map { $0["shape"]?.array?.map { $0.int } })
    for index in reader.tensors.indices { _ = try reader.contents(of: index) }
  }

  @Test(arguments: GGUFVector.table.filter { $0.row["verdict"] == "reject" })
  func `rejects with the rule and the byte`(vector: GGUFVector) throws {
    let error = try #require(throws: StorageError.self) { try GGUFReader(path: vector.path) }
    let reason = "\(error.reason)"
    let rule = try #require(vector.row["rule"]?.string)
    #expect(reason.firstMatch(of: /gguf G-\d+/).map { String($0.0) } == rule, "\(error)")
    #expect(reason.hasPrefix(try #require(vector.row["reason"]?.string)), "\(error)")
    let offset = try #require(error.offset)
    if let expected = vector.row["offset"]?.int { #expect(offset == expected, "\(error)") }
  }

  @Test func `every rule of the page is cited by the sources and the other way round`() throws {
    let (stated, cited) = try rules(of: "gguf", letter: "G", in: ["Sources/GraftFormats/GGUF"])
    #expect(stated == cited)
    #expect(stated.count == 18)
  }
}
