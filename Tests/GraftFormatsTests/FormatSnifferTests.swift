import GraftCore
import GraftFormats
import TestSupport
import Testing

struct FormatSnifferTests {
  let folder = TemporaryFolder()

  @Test(arguments: SafetensorsVectorTests.vectors.filter(\.isAccepted))
  func `finds safetensors`(vector: Vector) throws {
    #expect(try FormatSniffer.sniff(path: vector.path) == .safetensors)
  }

  @Test(arguments: ShardVectorTests.vectors.filter(\.isAccepted))
  func `finds shard indexes`(vector: Vector) throws {
    #expect(try FormatSniffer.sniff(path: vector.path) == .shardIndex)
  }

  @Test func `finds each format of word vectors`() throws {
    let name = "Formats/word-vectors/vectors.json"
    let rows = try #require(try JSONValue.parse(Repository.bytes(name), file: name).array)
    for row in rows {
      guard let format = row["format"]?.string else { continue }
      let file = try #require(row["file"]?.string)
      let path = Repository.path("Formats/word-vectors/" + file)
      let expected = try #require(WordVectorFormat(rawValue: format))
      #expect(try FormatSniffer.sniff(path: path) == .wordVectors(expected), "\(file)")
    }
  }

  @Test func `finds signatures where they belong`() throws {
    let hdf5: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]
    let zeros = [UInt8](repeating: 0, count: 2048)
    let cases: [([UInt8], FormatSniffer.Finding)] = [
      (Array("GGUF".utf8) + zeros, .gguf), (hdf5 + zeros, .hdf5),
      (zeros[..<512] + hdf5 + zeros, .hdf5), (zeros[..<1024] + hdf5, .hdf5),
      (zeros[..<100] + hdf5 + zeros, .unrecognized), (zeros, .unrecognized), ([], .unrecognized),
      (Array("{\"weights\": {}}".utf8), .unrecognized),
      (Array("PK\u{3}\u{4}".utf8) + zeros, .unrecognized),
      (Array("Call me Ishmael.\nSome years ago\n".utf8), .unrecognized),
    ]
    for (bytes, finding) in cases {
      #expect(try FormatSniffer.sniff(path: folder.write(bytes)) == finding)
    }
  }

  @Test func `a damaged header still claims its format`() throws {
    let path = Repository.path("Formats/safetensors/reject/data-1-short.safetensors")
    #expect(try FormatSniffer.sniff(path: path) == .safetensors)
  }
}
