import GraftCore

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
}
