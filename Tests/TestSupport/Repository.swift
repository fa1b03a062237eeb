import Foundation
public import GraftCore

/// The checkout that the tests were built in: fixtures that other programs made, the formats' vectors, the manual.
public enum Repository {
  /// Its root; the fixtures that are kept in archives have been unpacked.
  public static let root: String = {
    let root = #filePath.split(separator: "/", omittingEmptySubsequences: false)
      .dropLast(3).joined(separator: "/")
    let process = Process()
    process.executableURL = URL(filePath: root + "/Fixtures/archives")
    process.arguments = ["unpack"]
    do {
      try process.run()
    } catch {
      preconditionFailure("Fixtures/archives can be run: \(error)")
    }
    process.waitUntilExit()
    precondition(process.terminationStatus == 0, "Fixtures/archives unpacks")
    return root
  }()

  /// The path of a file below the root.
  public static func path(_ relative: String) -> String { root + "/" + relative }

  /// The path of a golden file, below `Fixtures/golden`.
  public static func golden(_ relative: String) -> String { path("Fixtures/golden/" + relative) }

  /// A file's bytes.
  public static func bytes(_ relative: String) throws(StorageError) -> [UInt8] {
    try InputFile.contents(of: path(relative), atMost: 64 << 20)
  }

  /// A golden file of JSON.
  public static func goldenJSON(_ relative: String) throws(StorageError) -> JSONValue {
    try JSONValue.parse(
      try InputFile.contents(of: golden(relative), atMost: 64 << 20), file: relative)
  }
}
