public import GraftCore

/// A reader of one file, which may be a shard of a larger checkpoint.
public protocol SingleFileReader: CheckpointReader {
  /// The open file.
  var file: InputFile { get }

  /// Validates an open file.
  ///
  /// - Throws: ``StorageError`` with the broken rule, the tensor and the byte.
  init(_ file: InputFile, limits: FormatLimits) throws(StorageError)
}

extension SingleFileReader {
  /// Opens and validates a file.
  ///
  /// - Throws: ``StorageError`` with the broken rule, the tensor and the byte.
  public init(path: String, limits: FormatLimits = .standard) throws(StorageError) {
    try self.init(InputFile(path: path), limits: limits)
  }

  /// The path that was opened.
  public var path: String { file.path }

  /// The one file.
  public var inputs: [InputFile] { [file] }
}
