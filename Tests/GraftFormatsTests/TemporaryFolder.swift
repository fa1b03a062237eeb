import Glibc
import GraftCore
import Testing

/// A folder of a test's own, removed with the last reference.
final class TemporaryFolder: Sendable {
  let path: String

  init() throws {
    path = "/tmp/graft-formats-\(UInt64.random(in: .min ... .max))"
    try Directory.create(path)
  }

  deinit { Directory.remove(path) }

  func write(_ bytes: [UInt8], as name: String = "file") throws -> String {
    try AtomicFile.write(bytes, to: path + "/" + name)
    return path + "/" + name
  }

  /// Makes a file so long that some bytes fit behind a place, and writes them there; between lies nothing but a hole.
  static func extend(_ path: String, to offset: Int, writing bytes: [UInt8]) throws {
    let file = try #require(fopen(path, "r+"))
    defer { fclose(file) }
    try #require(fseeko(file, off_t(offset), SEEK_SET) == 0)
    try #require(fwrite(bytes, 1, bytes.count, file) == bytes.count)
  }
}
