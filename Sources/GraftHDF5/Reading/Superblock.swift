internal import GraftCore

/// What can be said of an HDF5 file before libhdf5 sees it.
///
/// The library trusts some of these numbers, so a file that lies in them is refused here.
struct Superblock {
  private static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]
  /// How far a user's block may push the signature; it stands at 0, 512, 1024, 2048 and so on.
  private static let searchLimit = 1 << 20

  /// Whether a file has the signature, at its beginning or behind a user's block.
  static func find(in file: InputFile) throws(StorageError) -> Int? {
    var offset = 0
    while offset <= searchLimit, offset + signature.count <= file.byteCount {
      if try file.bytes(at: offset, count: signature.count) == signature { return offset }
      offset = max(512, 2 * offset)
    }
    return nil
  }

  /// Checks the superblock's numbers against the file.
  static func check(_ file: InputFile) throws(StorageError) {
    guard let start = try find(in: file) else {
      throw StorageError(.unrecognized(expected: "the signature of HDF5 (H-1)"), file: file.path)
    }
    let version = Int(try file.bytes(at: start + 8, count: 1)[0])
    // Where the sizes of offsets and lengths, the flags and the addresses stand.
    let (sizes, addresses): (Int, Int)
    switch version {
    case 0: (sizes, addresses) = (13, 24)
    case 1: (sizes, addresses) = (13, 28)
    case 2, 3: (sizes, addresses) = (9, 12)
    default:
      throw StorageError(
        .unsupported(feature: "superblock version (H-2)", found: "\(version)"), file: file.path,
        offset: start + 8)
    }
    let rule = "HDF5 H-2"
    for (position, size) in try file.bytes(at: start + sizes, count: 2).enumerated() {
      guard size == 8 else {
        throw StorageError(
          .unsupported(feature: "size of addresses (H-2)", found: "\(size) bytes"), file: file.path,
          offset: start + sizes + position)
      }
    }
    func word(_ position: Int) throws(StorageError) -> UInt64 {
      let bytes = try file.bytes(at: start + addresses + 8 * position, count: 8)
      return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    func malformed(_ position: Int, _ expected: String, _ found: UInt64) -> StorageError {
      StorageError(
        .malformed(rule: rule, expected: expected, found: "\(found)"), file: file.path,
        offset: start + addresses + 8 * position)
    }
    // Versions 0 and 1: base, free space, end, driver, then the root's entry (name, header).
    // Versions 2 and 3: base, extension, end, root's header.
    let rootPosition = version < 2 ? 5 : 3
    let base = try word(0)
    let end = try word(2)
    let root = try word(rootPosition)
    guard base == UInt64(start) else {
      throw malformed(0, "the base address \(start)", base)
    }
    guard let endOffset = Int(exactly: end), endOffset <= file.byteCount else {
      throw StorageError(
        .truncated(
          part: "HDF5 data (H-2)", expectedBytes: Int(clamping: end), foundBytes: file.byteCount),
        file: file.path, offset: start + addresses + 16)
    }
    guard root < end else {
      throw malformed(rootPosition, "a root below the end, \(end)", root)
    }
    if version < 2, try word(3) != .max {
      throw StorageError(
        .unsupported(feature: "file driver (H-2)", found: "a driver information block"),
        file: file.path,
        offset: start + addresses + 24)
    }
  }
}
