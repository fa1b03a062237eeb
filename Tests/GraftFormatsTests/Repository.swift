import GraftCore

/// Finds the repository's data from where this file was compiled.
enum Repository {
  static func path(_ relative: String, here: String = #filePath) -> String {
    here.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
      .joined(separator: "/") + "/" + relative
  }

  static func bytes(_ relative: String) throws -> [UInt8] {
    try InputFile.contents(of: path(relative), atMost: 64 << 20)
  }
}
