import GraftCore
import GraftFormats
import TestSupport
import Testing

/// One row of a `vectors.json`: a file and the verdict on it.
struct Vector: Sendable, CustomTestStringConvertible {
  let format: String
  let file: String
  let isAccepted: Bool
  let rule: String?
  let offset: Int?

  var path: String { Repository.path("Formats/\(format)/\(file)") }
  var testDescription: String { file }

  static func table(of format: String) -> [Vector] {
    let name = "Formats/\(format)/vectors.json"
    guard let bytes = try? Repository.bytes(name),
      let rows = try? JSONValue.parse(bytes, file: name).array
    else { return [] }
    return rows.map {
      Vector(
        format: format, file: $0["file"]?.string ?? "", isAccepted: $0["verdict"] == "accept",
        rule: $0["rule"]?.string, offset: $0["offset"]?.int)
    }
  }

  /// Opens the file with a reader and holds the outcome against the row.
  func judge(_ open: (String) throws(StorageError) -> Void) throws {
    guard !isAccepted else {
      try open(path)
      return
    }
    let error = try #require(throws: StorageError.self) { try open(path) }
    #expect(error.citation == rule, "\(error)")
    #expect(error.offset == offset, "\(error)")
    #expect(error.file.hasPrefix(Repository.path("Formats")))
  }
}

extension StorageError {
  /// The rule that the error cites, wherever its reason has the room for it.
  var citation: String? {
    "\(reason)".firstMatch(
      of:
        /(safetensors S|json J|shard-index I|word-vectors W|fasttext F|zip Z|pytorch P|numpy N)-\d+/
    )
    .map { String($0.0) }
  }
}

/// The rule numbers stated by a format's page and those cited by its sources.
func rules(of format: String, letter: String, in folders: [String]) throws -> (
  stated: Set<String>, cited: Set<String>
) {
  let page = String(decoding: try Repository.bytes("Formats/\(format)/SPEC.md"), as: UTF8.self)
  let stated = try Regex<(Substring, Substring)>("\\n\\| (\(letter)-[0-9]+) \\|")
  let cited = try Regex<(Substring, Substring)>("\\b(\(letter)-[0-9]+)\\b")
  var sources = ""
  for folder in folders {
    for file in try Directory.entries(of: Repository.path(folder)) where file.hasSuffix(".swift") {
      sources += String(decoding: try Repository.bytes(folder + "/" + file), as: UTF8.self)
    }
  }
  return (
    Set(page.matches(of: stated).map { String($0.1) }),
    Set(sources.matches(of: cited).map { String($0.1) })
  )
}
