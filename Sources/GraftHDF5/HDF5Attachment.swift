public import GraftCore
internal import GraftFormats

/// A file that travels inside an HDF5 file byte for byte: a configuration, a tokenizer, the header of a shard.
public struct HDF5Attachment: Sendable {
  /// The path relative to the model's directory.
  public let name: String
  /// The size of the file.
  public let byteCount: Int
  private let source: Source

  private enum Source: Sendable {
    case bytes([UInt8])
    case file(InputFile)
    case range(InputFile, Range<Int>)
    case deflated(DeflatedMember)
    case dataset(StoredDataset, DatasetStore)
  }

  /// Attaches bytes.
  public init(name: String, bytes: [UInt8]) {
    self.name = name
    byteCount = bytes.count
    source = .bytes(bytes)
  }

  /// Attaches a file, which is read in tiles when the time comes.
  public init(name: String, file: InputFile) {
    self.name = name
    byteCount = file.byteCount
    source = .file(file)
  }

  /// Attaches the beginning of a file, which is read in tiles when the time comes.
  ///
  /// - Precondition: the file has so many bytes.
  public init(name: String, file: InputFile, first byteCount: Int) {
    precondition(byteCount >= 0 && byteCount <= file.byteCount, "bytes of the file")
    self.name = name
    self.byteCount = byteCount
    source = .range(file, 0..<byteCount)
  }

  /// Attaches a member of an archive.
  init(_ member: ZipMember, in archive: ZipArchive) {
    name = member.name.text
    byteCount = member.byteCount
    source =
      member.isDeflated
      ? .deflated(DeflatedMember(member, in: archive)) : .range(archive.file, member.stored)
  }

  /// An attachment of an open file.
  init(name: String, _ dataset: StoredDataset, in store: DatasetStore) {
    self.name = name
    byteCount = dataset.byteCount
    source = .dataset(dataset, store)
  }

  /// Some of the file's bytes.
  ///
  /// - Precondition: the range lies inside the file.
  /// - Throws: ``StorageError`` when they can't be read.
  public func bytes(in range: Range<Int>) throws(StorageError) -> [UInt8] {
    switch source {
    case .bytes(let bytes): return Array(bytes[range])
    case .file(let file): return try file.bytes(at: range.lowerBound, count: range.count)
    case .range(let file, let whole):
      return try file.bytes(at: whole.lowerBound + range.lowerBound, count: range.count)
    case .deflated(let member):
      return try Self.filled(range.count) { (buffer: inout MutableRawSpan) throws(StorageError) in
        try member.read(at: range.lowerBound, into: &buffer)
      }
    case .dataset(let dataset, let store):
      return try Self.filled(range.count) { (buffer: inout MutableRawSpan) throws(StorageError) in
        try store.read(dataset, at: range.lowerBound, into: &buffer)
      }
    }
  }

  private static func filled(
    _ count: Int, _ fill: (inout MutableRawSpan) throws(StorageError) -> Void
  ) throws(StorageError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    try bytes.withMutableRawBytes { (buffer: inout MutableRawSpan) throws(StorageError) in
      try fill(&buffer)
    }
    return bytes
  }

  /// The whole file, refused above a limit; of a file inside an HDF5 file also where it is much larger than that one.
  ///
  /// - Throws: ``StorageError`` when it is larger or can't be read.
  public func contents(atMost limit: Int, file: String) throws(StorageError) -> [UInt8] {
    if case .dataset(_, let store) = source {
      let (scaled, isTooMuch) = store.input.byteCount.multipliedReportingOverflow(
        by: HDF5Limits.contentExpansion)
      let relative = isTooMuch ? .max : scaled
      guard byteCount <= HDF5Limits.contentBytes || byteCount <= relative else {
        throw StorageError(
          .limitExceeded(
            limit: "bytes of a file inside for each byte of the file (H-27)",
            maximum: HDF5Limits.contentExpansion, found: "\(byteCount) bytes of \(name)"),
          file: store.input.path)
      }
    }
    guard byteCount <= limit else {
      throw StorageError(
        .limitExceeded(limit: "bytes", maximum: limit, found: "\(byteCount) bytes of \(name)"),
        file: file)
    }
    return try bytes(in: 0..<byteCount)
  }
}
