internal import GraftCore

extension StorageError {
  /// The error for a file that ends before it has as many rows as its header says.
  static func missingRows(
    declared: Int, found: Int, file: String, offset: Int
  ) -> StorageError {
    StorageError(
      .malformed(rule: "word-vectors W-3", expected: "\(declared) rows", found: "\(found)"),
      file: file, offset: offset)
  }
}
