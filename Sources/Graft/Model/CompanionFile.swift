public import GraftCore
package import GraftHDF5

/// A file that belongs to a checkpoint beside its tensors: configuration, tokenizer, licence.
public struct CompanionFile: Sendable {
  /// The path relative to the model's directory.
  public let name: String
  /// The bytes.
  package let content: HDF5Attachment
  /// The file that the bytes are copied from, when they stand in one of their own.
  package let source: InputFile?

  /// A file beside the weights.
  init(name: String, file: InputFile) {
    self.name = name
    content = HDF5Attachment(name: name, file: file)
    source = file
  }

  /// A file by itself.
  init(at path: String) throws(StorageError) {
    self.init(name: path, file: try InputFile(path: path))
  }

  /// A file inside an HDF5 checkpoint.
  init(_ attachment: HDF5Attachment) {
    name = attachment.name
    content = attachment
    source = nil
  }

  /// A file made by a verb.
  package init(name: String, bytes: [UInt8]) {
    self.init(HDF5Attachment(name: name, bytes: bytes))
  }

  /// Whether a listing of the directory, folder by folder, has this file before another one.
  func precedes(_ other: CompanionFile) -> Bool {
    name.split(separator: "/").lexicographicallyPrecedes(other.name.split(separator: "/")) {
      $0.utf8.lexicographicallyPrecedes($1.utf8)
    }
  }

  /// The size.
  public var byteCount: Int { content.byteCount }

  /// The largest companion that is taken into memory.
  static let maximumByteCount = 256 << 20

  /// The bytes.
  ///
  /// - Throws: ``StorageError`` when the file can't be read or is too large to be a configuration or tokenizer.
  public func contents() throws(StorageError) -> [UInt8] {
    try content.contents(atMost: Self.maximumByteCount, file: source?.path ?? name)
  }

  private static let comparedAtOnce = 1 << 20

  /// Whether two files hold the same bytes.
  func hasContent(of other: CompanionFile) throws(StorageError) -> Bool {
    guard byteCount == other.byteCount else { return false }
    for start in stride(from: 0, to: byteCount, by: Self.comparedAtOnce) {
      let range = start..<min(start + Self.comparedAtOnce, byteCount)
      if try content.bytes(in: range) != other.content.bytes(in: range) { return false }
    }
    return true
  }

  /// Writes the file into a directory.
  func write(into directory: AtomicDirectory) throws(StorageError) {
    try write(to: try directory.file(named: name, isExecutable: source?.isExecutable ?? false))
  }

  /// Writes the bytes.
  func write(to output: OutputFile) throws(StorageError) {
    if let source {
      try output.copy(from: source, 0..<source.byteCount, to: 0)
      return
    }
    for start in stride(from: 0, to: byteCount, by: 4 << 20) {
      try output.write(
        content.bytes(in: start..<min(start + 4 << 20, byteCount)), at: start)
    }
  }
}
