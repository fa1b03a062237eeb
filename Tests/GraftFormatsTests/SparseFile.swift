import Glibc
import TestSupport
import Testing

extension TemporaryFolder {
  /// Makes a file so long that some bytes fit behind a place, and writes them there; between lies nothing but a hole.
  static func extend(_ path: String, to offset: Int, writing bytes: [UInt8]) throws {
    let file = try #require(fopen(path, "r+"))
    defer { fclose(file) }
    try #require(fseeko(file, off_t(offset), SEEK_SET) == 0)
    try #require(fwrite(bytes, 1, bytes.count, file) == bytes.count)
  }
}
