internal import GraftCore

/// The first block of an HDF5 file: where its structure begins and ends.
struct Superblock {
  /// Where in the file the signature stands.
  let start: Int
  /// Where the data ends.
  let end: Int
  /// The address of the root group's header.
  let root: UInt64

  private static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]
  /// How far a user's block may push the signature; it stands at 0, 512, 1024, 2048 and so on.
  private static let searchLimit = 1 << 20

  /// Where the signature stands, at the beginning or behind a user's block; nil when there is none.
  static func find(in file: InputFile, _ region: Range<Int>? = nil) throws(StorageError) -> Int? {
    let region = region ?? 0..<file.byteCount
    var offset = 0
    while offset <= searchLimit, offset + signature.count <= region.count {
      let place = region.lowerBound + offset
      if try file.bytes(at: place, count: signature.count) == signature { return place }
      offset = max(512, 2 * offset)
    }
    return nil
  }

  /// Reads and checks the superblock of a file, or of one inside another.
  ///
  /// - Throws: ``StorageError`` when its numbers don't fit the file, or a writer has it open.
  init(_ file: InputFile, _ region: Range<Int>) throws(StorageError) {
    guard let start = try Self.find(in: file, region) else {
      throw StorageError(.unrecognized(expected: "the signature of HDF5 (H-1)"), file: file.path)
    }
    let structure = StructureFile(file, base: start, end: region.upperBound)
    var cursor = try structure.beginning(at: 0, count: 128, "superblock", "H-2")
    try cursor.skip(8)
    let version = try cursor.version(0...3)
    try cursor.skip(version < 2 ? 4 : 0)
    for _ in 0..<2 {
      let size = try cursor.u8()
      guard size == 8 else {
        throw StorageError(
          .unsupported(feature: "size of addresses (H-2)", found: "\(size) bytes"), file: file.path,
          offset: cursor.offset - 1)
      }
    }
    // The flags count only since version 3: the older library set and never looked at them.
    let flags = version < 2 ? 0 : try cursor.u8()
    try cursor.skip(version < 2 ? (version == 0 ? 9 : 13) : 0)
    let base = try cursor.number(8)
    let stored = start - region.lowerBound
    guard base == UInt64(stored) else {
      throw cursor.malformed("the base address \(stored)", found: "\(base)")
    }
    try cursor.skip(8)
    let end = try cursor.number(8)
    guard let length = Int(exactly: end), length <= region.count else {
      throw StorageError(
        .truncated(
          part: "HDF5 data (H-2)", expectedBytes: Int(clamping: end), foundBytes: region.count),
        file: file.path, offset: cursor.offset - 8)
    }
    if version < 2 {
      guard try cursor.address() == nil else {
        throw cursor.unsupported("file driver", found: "a driver information block")
      }
      try cursor.skip(8)
    }
    let root = try cursor.number(8)
    guard root < end, length >= stored else {
      throw cursor.malformed("a root below the end, \(end)", found: "\(root)")
    }
    if version >= 2 { try cursor.checksum() }
    guard version < 3 || flags & 0x05 == 0 else {
      throw StorageError(
        .malformed(
          rule: "HDF5 H-2", expected: "a file that was closed", found: "one open for writing"),
        file: file.path, offset: start + 11,
        remedy: "let its writer finish, or clear its flags with h5clear -s")
    }
    self.start = start
    self.end = region.lowerBound + length
    self.root = root
  }
}
