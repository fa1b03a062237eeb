import Glibc
import GraftCore
import GraftFormats
import TestSupport
import Testing

/// Damaged files end in an error or in content that can be read whole; a trap would end the test run.
struct MutationTests {
  let folder = TemporaryFolder()

  /// The bytes with every byte in turn changed in several ways, and cut at every length.
  static func mutants(of bytes: [UInt8]) -> [[UInt8]] {
    var result = bytes.indices.map { Array(bytes[..<$0]) }
    for position in bytes.indices {
      for change in [0x01, 0x10, 0x80, 0xFF] as [UInt8] {
        var mutant = bytes
        mutant[position] ^= change
        result.append(mutant)
      }
      var digit = bytes
      digit[position] = UInt8(ascii: "9")
      result.append(digit)
    }
    return result
  }

  /// Writes without waiting for the disk, as there are thousands.
  static func overwrite(_ path: String, with bytes: [UInt8]) throws {
    let file = try #require(fopen(path, "w"))
    defer { fclose(file) }
    try #require(fwrite(bytes, 1, bytes.count, file) == bytes.count)
  }

  @Test(arguments: [
    "shape-zero", "metadata-escapes", "unaligned", "fields-more", "json-metadata-only",
  ])
  func `damaged safetensors`(name: String) throws {
    let bytes = try Repository.bytes("Formats/safetensors/accept/\(name).safetensors")
    var accepted = 0
    for mutant in Self.mutants(of: bytes) {
      let path = folder.path + "/mutant"
      try Self.overwrite(path, with: mutant)
      guard let reader = try? SafetensorsReader(path: path) else { continue }
      accepted += 1
      for tensor in reader.tensors.indices { _ = try reader.contents(of: tensor) }
      #expect(reader.tensors.reduce(0) { $0 + $1.byteCount } < mutant.count)
    }
    #expect(accepted > 0)
  }

  @Test func `damaged indexes`() throws {
    let index = try Repository.bytes(
      "Formats/shard-index/accept/plain/model.safetensors.index.json")
    for mutant in Self.mutants(of: index) {
      guard let index = try? ShardIndex(parsing: mutant, file: "mutant") else { continue }
      #expect(index.shards.allSatisfy { Directory.isSafeRelativePath($0) })
    }
  }

  @Test(arguments: ["text", "text-numbers", "glove", "binary-newlines", "binary-utf8", "text-nbsp"])
  func `damaged word vectors`(name: String) throws {
    let bytes = try Repository.bytes("Formats/word-vectors/accept/" + name)
    for mutant in Self.mutants(of: bytes) {
      let path = folder.path + "/mutant"
      try Self.overwrite(path, with: mutant)
      for format in WordVectorFormat.allCases {
        let checkpoint = try? EmbeddingCheckpoint(path: path, format: format)
        let contents = checkpoint.flatMap { try? $0.contents(of: 0) }
        guard let table = try? EmbeddingTable(path: path, format: format) else {
          // What one reader refuses the other refuses, when it is opened or when it is read.
          #expect(contents == nil)
          continue
        }
        #expect(contents?.floats().map(\.bitPattern) == table.floats.map(\.bitPattern))
        #expect(!table.floats.contains { !$0.isFinite })
        #expect(table.floats.count <= mutant.count)
      }
      _ = try FormatSniffer.sniff(path: path)
    }
  }
}
