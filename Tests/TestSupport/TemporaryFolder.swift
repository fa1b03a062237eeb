import Foundation
public import GraftCore

/// A folder of a test's own, which goes with the last reference.
public final class TemporaryFolder: Sendable {
  /// Where it is: below `TMPDIR`.
  public let path: String

  /// Makes a folder.
  public init() {
    path = FileManager.default.temporaryDirectory.appending(path: "graft-\(UUID())").path
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      preconditionFailure("no folder for a test: \(error)")
    }
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of what has a name in it.
  public func callAsFunction(_ name: String) -> String { path + "/" + name }

  /// Writes a file, and returns its path.
  public func write(_ bytes: [UInt8], as name: String = "file") throws(StorageError) -> String {
    try AtomicFile.write(bytes, to: self(name))
    return self(name)
  }

  /// A copy of a file or directory.
  public func copy(_ source: String, to name: String) throws -> String {
    try FileManager.default.copyItem(atPath: source, toPath: self(name))
    return self(name)
  }

  /// What is in it, in order.
  public var names: [String] { (try? names(in: path)) ?? [] }

  /// What is in a folder, in order.
  public func names(in folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
  }
}
