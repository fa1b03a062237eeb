import GraftCore
import GraftFormats
import TestSupport
import Testing

struct SafetensorsVectorTests {
  static let vectors = Vector.table(of: "safetensors")

  @Test func `the table lists every file`() throws {
    let listed = Set(Self.vectors.map(\.file))
    var found = Set<String>()
    for verdict in ["accept", "reject"] {
      let folder = Repository.path("Formats/safetensors/" + verdict)
      for name in try Directory.entries(of: folder) { found.insert(verdict + "/" + name) }
    }
    #expect(listed == found)
    #expect(listed.count == 109)
  }

  @Test(arguments: vectors)
  func `judges a file as its row says`(vector: Vector) throws {
    try vector.judge { path throws(StorageError) in _ = try SafetensorsReader(path: path) }
  }

  @Test func `every rule of the page is in the sources and the other way round`() throws {
    let (stated, cited) = try rules(
      of: "safetensors", letter: "S", in: ["Sources/GraftFormats/Safetensors"])
    #expect(stated == cited)
    #expect(stated.count == 18)
  }

  @Test(arguments: ["n", "i", "y"])
  func `headers from the JSON suite never pass for tensors`(kind: String) throws {
    let folder = TemporaryFolderOfHeaders()
    for name in try Directory.entries(of: Repository.path("Formats/json/suite"))
    where name.hasPrefix(kind + "_") {
      let text = try Repository.bytes("Formats/json/suite/" + name)
      let path = try folder.header(text)
      let value = try? JSONValue.parse(text, file: name)
      if value == [:] {
        #expect(try SafetensorsReader(path: path).tensors.isEmpty, "\(name)")
      } else {
        #expect(throws: StorageError.self, "\(name)") { try SafetensorsReader(path: path) }
      }
    }
  }
}

/// Files that are a header and no data.
struct TemporaryFolderOfHeaders {
  let folder = TemporaryFolder()

  func header(_ text: [UInt8], data: [UInt8] = [], as name: String = "file") throws -> String {
    let length = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> ($0 * 8)) }
    return try folder.write(length + text + data, as: name)
  }
}
