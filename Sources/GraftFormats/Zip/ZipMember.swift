package import GraftCore

/// One file inside an archive, known to lie where the central directory says.
package struct ZipMember: Sendable {
  /// The name, with folders before slashes.
  package let name: TensorName
  /// The bytes that it holds.
  package let byteCount: Int
  /// The bytes in the archive, as they are or deflated.
  package let stored: Range<Int>
  /// Whether the bytes in the archive are a deflate stream.
  package let isDeflated: Bool
  /// The CRC-32 of what it holds.
  package let checksum: UInt32

  private static let headerBytes = 30

  /// Holds the local header, and the descriptor where there is one, against the entry.
  ///
  /// - Parameter end: Where the next member, or the central directory, begins.
  /// - Throws: ``StorageError`` with the broken rule of `Formats/zip/SPEC.md`.
  init(
    _ entry: ZipEntry, before end: Int, through window: inout FileWindow
  ) throws(StorageError) {
    let file = window.file
    func malformed(_ rule: String, _ expected: String, _ found: String, at offset: Int)
      -> StorageError
    {
      StorageError(
        .malformed(rule: "zip " + rule, expected: expected, found: found), file: file.path,
        offset: offset)
    }
    let start = entry.headerOffset
    guard end - start >= Self.headerBytes else {
      throw malformed(
        "Z-12", "\(entry.name) before the next member", "another one inside it", at: start)
    }
    let header = try window.bytes(
      at: start, count: min(end - start, Self.headerBytes + entry.name.utf8.count + 128))
    let fields = ZipFields(header)
    guard fields.u32(at: 0) == ZipSignature.local else {
      throw malformed("Z-11", "the local header of \(entry.name)", "something else", at: start)
    }
    let nameLength = fields.u16(at: 26)
    let length = Self.headerBytes + nameLength + fields.u16(at: 28)
    let (dataEnd, overflow) = (start + length).addingReportingOverflow(entry.storedByteCount)
    guard !overflow, dataEnd <= end else {
      throw malformed(
        "Z-12", "the bytes of \(entry.name) before byte \(end)", "\(entry.storedByteCount) bytes",
        at: start)
    }
    let whole = header.count >= length ? header : try window.bytes(at: start, count: length)
    let named = whole.dropFirst(Self.headerBytes).prefix(nameLength)
    guard entry.name.utf8.hasSameBytes(as: named) else {
      throw malformed(
        "Z-11", "the name \(entry.name)", "\(TensorName(utf8: named))", at: start)
    }
    let extra = ZipExtra(
      whole.prefix(length).dropFirst(Self.headerBytes + nameLength), byteCount: fields.u32(at: 22),
      storedByteCount: fields.u32(at: 18), offset: nil)
    guard let extra else {
      throw malformed("Z-5", "extra fields that fit \(entry.name)", "others", at: start)
    }
    let sizes = (UInt64(entry.byteCount), UInt64(entry.storedByteCount), entry.checksum)
    let own = (extra.byteCount, extra.storedByteCount, fields.u32(at: 14))
    guard fields.u16(at: 6) == entry.flags, fields.u16(at: 8) == entry.method,
      own == sizes || entry.hasDescriptor && own == (0, 0, 0)
    else {
      throw malformed(
        "Z-11", "flags, method, checksum and sizes of \(entry.name) as in the central directory",
        "others", at: start)
    }
    if entry.hasDescriptor {
      let room = min(end - dataEnd, 24)
      guard Self.isDescriptor(try window.bytes(at: dataEnd, count: room), of: entry) else {
        throw malformed(
          "Z-13", "the checksum and sizes of \(entry.name) behind its data", "others", at: dataEnd)
      }
    }
    name = entry.name
    byteCount = entry.byteCount
    stored = start + length..<dataEnd
    isDeflated = entry.method == ZipEntry.deflated
    checksum = entry.checksum
  }

  /// Whether bytes begin with an entry's checksum and sizes, in 4 or 8 bytes each, with or without a signature.
  private static func isDescriptor(_ bytes: ArraySlice<UInt8>, of entry: ZipEntry) -> Bool {
    let size = UInt64(entry.byteCount)
    let storedSize = UInt64(entry.storedByteCount)
    for start in [4, 0] where bytes.count >= start + 12 {
      let fields = ZipFields(bytes.dropFirst(start))
      if start == 4, ZipFields(bytes).u32(at: 0) != ZipSignature.descriptor { continue }
      guard fields.u32(at: 0) == entry.checksum else { continue }
      if UInt64(fields.u32(at: 4)) == storedSize, UInt64(fields.u32(at: 8)) == size { return true }
      if bytes.count >= start + 20, fields.u64(at: 4) == storedSize, fields.u64(at: 12) == size {
        return true
      }
    }
    return false
  }

  /// Holds the checksum of what was read against the archive's.
  ///
  /// - Throws: ``StorageError`` where they differ.
  func compare(_ found: Checksum, in file: InputFile) throws(StorageError) {
    guard found.value != checksum else { return }
    throw StorageError(
      .mismatch(
        subject: "the checksum of \(name) (zip Z-14)", expected: String(checksum, radix: 16),
        found: String(found.value, radix: 16)),
      file: file.path, offset: stored.lowerBound,
      remedy: "the file was damaged after it was written: fetch it again")
  }
}
