internal import GraftCore

/// Where a ZIP archive's central directory lies, told by the records at the end of the file.
struct ZipEnd {
  /// The bytes of the central directory.
  let directory: Range<Int>
  /// The entries in it.
  let memberCount: Int

  private static let byteCount = 22
  private static let commentBytes = 65_535
  private static let locatorBytes = 20
  private static let byteCount64 = 56

  /// Finds the records.
  ///
  /// - Throws: ``StorageError`` with the broken rule of `Formats/zip/SPEC.md`.
  init(of file: InputFile, limits: FormatLimits) throws(StorageError) {
    let position = try Self.position(in: file)
    let record = ZipFields(try file.bytes(at: position, count: Self.byteCount))
    var declared = Declared(
      disk: UInt64(record.u16(at: 4)), directoryDisk: UInt64(record.u16(at: 6)),
      diskCount: UInt64(record.u16(at: 8)), count: UInt64(record.u16(at: 10)),
      size: UInt64(record.u32(at: 12)), offset: UInt64(record.u32(at: 16)))
    var end = position
    if let (wide, place) = try Self.wideRecord(before: position, in: file) {
      guard declared.agrees(with: wide) else {
        throw Self.malformed("Z-2", "the ZIP64 record's numbers", "others", position, file)
      }
      (declared, end) = (wide, place)
    } else if declared.isSaturated {
      throw Self.malformed(
        "Z-2", "a ZIP64 record for numbers at their maximum", "none", position, file)
    }
    guard declared.disk == 0, declared.directoryDisk == 0, declared.diskCount == declared.count
    else {
      throw StorageError(
        .unsupported(feature: "archive (zip Z-2)", found: "one of several disks"), file: file.path,
        offset: end)
    }
    guard let count = Int(exactly: declared.count), count <= limits.zipMembers else {
      throw StorageError(
        .limitExceeded(
          limit: "members (zip Z-3)", maximum: limits.zipMembers, found: "\(declared.count)"),
        file: file.path, offset: end)
    }
    guard let size = Int(exactly: declared.size), size <= limits.zipDirectoryBytes else {
      throw StorageError(
        .limitExceeded(
          limit: "bytes of a central directory (zip Z-3)", maximum: limits.zipDirectoryBytes,
          found: "\(declared.size)"),
        file: file.path, offset: end)
    }
    guard size <= end, declared.offset == UInt64(end - size) else {
      throw Self.malformed(
        "Z-3", "the central directory up to this record",
        "\(size) bytes from \(declared.offset) on",
        end, file)
    }
    directory = end - size..<end
    memberCount = count
  }

  /// The byte of the one end record whose comment ends where the file does.
  private static func position(in file: InputFile) throws(StorageError) -> Int {
    let count = min(file.byteCount, byteCount + commentBytes)
    guard count >= byteCount else {
      throw StorageError(
        .truncated(
          part: "end record (zip Z-1)", expectedBytes: byteCount, foundBytes: file.byteCount),
        file: file.path, offset: 0)
    }
    let start = file.byteCount - count
    let tail = try file.bytes(at: start, count: count)
    let fields = ZipFields(tail)
    var found: [Int] = []
    for place in 0...count - byteCount
    where tail[place] == 0x50 && fields.u32(at: place) == ZipSignature.end
      && place + byteCount + fields.u16(at: place + 20) == count
    {
      found.append(start + place)
    }
    guard let last = found.last else {
      throw StorageError(
        .malformed(
          rule: "zip Z-1", expected: "an end record and its comment at the end of the file",
          found: "none"),
        file: file.path, remedy: "the file is cut off, or something stands behind the archive")
    }
    guard found.count == 1 else {
      throw malformed("Z-1", "one end record", "another one inside its comment", found[0], file)
    }
    return last
  }

  /// The record of wide numbers, where its locator stands before the end record, and its place.
  private static func wideRecord(
    before position: Int, in file: InputFile
  ) throws(StorageError) -> (Declared, place: Int)? {
    let place = position - locatorBytes
    guard place >= 0 else { return nil }
    let locator = ZipFields(try file.bytes(at: place, count: locatorBytes))
    guard locator.u32(at: 0) == ZipSignature.locator64 else { return nil }
    guard let start = Int(exactly: locator.u64(at: 8)), start >= 0, place >= byteCount64,
      start <= place - byteCount64
    else {
      throw malformed(
        "Z-2", "a ZIP64 record before its locator", "one at byte \(locator.u64(at: 8))", place,
        file)
    }
    let record = ZipFields(try file.bytes(at: start, count: byteCount64))
    guard record.u32(at: 0) == ZipSignature.end64, record.u64(at: 4) == UInt64(place - start - 12)
    else {
      throw malformed("Z-2", "a ZIP64 record up to its locator", "something else", start, file)
    }
    guard locator.u32(at: 4) == 0, locator.u32(at: 16) <= 1 else {
      throw StorageError(
        .unsupported(feature: "archive (zip Z-2)", found: "one of several disks"), file: file.path,
        offset: place)
    }
    let wide = Declared(
      disk: UInt64(record.u32(at: 16)), directoryDisk: UInt64(record.u32(at: 20)),
      diskCount: record.u64(at: 24), count: record.u64(at: 32), size: record.u64(at: 40),
      offset: record.u64(at: 48))
    return (wide, start)
  }

  private static func malformed(
    _ rule: String, _ expected: String, _ found: String, _ offset: Int, _ file: InputFile
  ) -> StorageError {
    StorageError(
      .malformed(rule: "zip " + rule, expected: expected, found: found), file: file.path,
      offset: offset)
  }
}

/// The numbers of an end record.
private struct Declared {
  let disk: UInt64
  let directoryDisk: UInt64
  let diskCount: UInt64
  let count: UInt64
  let size: UInt64
  let offset: UInt64

  private static let short: UInt64 = 0xFFFF
  private static let long: UInt64 = 0xFFFF_FFFF

  /// Whether a number is the one that says: see the ZIP64 record.
  var isSaturated: Bool {
    diskCount == Self.short || count == Self.short || size == Self.long || offset == Self.long
  }

  /// Whether each number is the wide record's, or the one that refers to it.
  func agrees(with wide: Declared) -> Bool {
    func agree(_ own: UInt64, _ other: UInt64, _ maximum: UInt64) -> Bool {
      own == other || own == maximum
    }
    return agree(disk, wide.disk, Self.short)
      && agree(directoryDisk, wide.directoryDisk, Self.short)
      && agree(diskCount, wide.diskCount, Self.short) && agree(count, wide.count, Self.short)
      && agree(size, wide.size, Self.long) && agree(offset, wide.offset, Self.long)
  }
}
