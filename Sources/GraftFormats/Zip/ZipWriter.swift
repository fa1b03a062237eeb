package import GraftCore
internal import Synchronization

/// A ZIP archive being written: all members stored, their sizes known before the first byte.
///
/// Bytes may come for any member at any offset, each byte once; checksums of the pieces are combined at the end. Data begin at
/// multiples of 64, as PyTorch lays them out, so that they can be mapped.
package final class ZipWriter: Sendable {
  /// A member as it will be written.
  private struct Plan {
    let name: [UInt8]
    let byteCount: Int
    let header: Int
    let start: Int
  }

  /// A run of bytes that was given.
  private struct Piece {
    let offset: Int
    let checksum: Checksum
  }

  private let output: OutputFile
  private let plans: [Plan]
  private let directoryStart: Int
  private let pieces: Mutex<[[Piece]]>

  private static let headerBytes = 30
  private static let wideBytes = 20
  private static let alignment = 64
  /// From this size on a number has the wide form.
  private static let narrow = 0xFFFF_FFFF

  /// Lays the archive out and reserves its size.
  ///
  /// - Throws: ``StorageError`` for a name that can't be a member's, or a full disk.
  package init(
    _ members: [(name: String, byteCount: Int)], to output: OutputFile
  ) throws(StorageError) {
    var plans: [Plan] = []
    var end = 0
    for member in members {
      let name = Array(member.name.utf8)
      guard !name.isEmpty, name.count <= 0xFFFF else {
        throw StorageError(
          .notRepresentable(
            what: "a member named '\(member.name.escapedShortened)'", inFormat: "zip"),
          file: output.target)
      }
      let unpadded = end + Self.headerBytes + name.count + Self.wideSize(member.byteCount) + 4
      let start = (unpadded + Self.alignment - 1) / Self.alignment * Self.alignment
      plans.append(Plan(name: name, byteCount: member.byteCount, header: end, start: start))
      let (next, overflow) = start.addingReportingOverflow(member.byteCount)
      guard !overflow, next < Int.max / 2 else {
        throw StorageError(.overflow(part: "file"), file: output.target)
      }
      end = next
    }
    try plans.lazy.map { TensorName(utf8: $0.name) }.checkDiffer(
      "members", inFormat: "zip", rule: "zip Z-9", file: output.target)
    self.output = output
    self.plans = plans
    directoryStart = end
    pieces = Mutex([[Piece]](repeating: [], count: plans.count))
    try output.reserve(byteCount: end)
  }

  private static func wideSize(_ byteCount: Int) -> Int { byteCount >= narrow ? wideBytes : 0 }

  /// Writes bytes of a member.
  ///
  /// - Precondition: the bytes lie inside the member.
  package func write(_ bytes: RawSpan, of member: Int, at byteOffset: Int) throws(StorageError) {
    precondition(
      byteOffset >= 0 && bytes.byteCount <= plans[member].byteCount - byteOffset,
      "a write lies inside its member")
    try output.write(bytes, at: plans[member].start + byteOffset)
    let piece = Piece(offset: byteOffset, checksum: Checksum(of: bytes))
    pieces.withLock { $0[member].append(piece) }
  }

  /// Writes an array into a member.
  package func write(_ bytes: [UInt8], of member: Int, at byteOffset: Int) throws(StorageError) {
    try bytes.withRawBytes { bytes throws(StorageError) in
      try write(bytes, of: member, at: byteOffset)
    }
  }

  /// Copies bytes of a file into a member, by tiles: the checksum needs to see them.
  package func copy(_ extent: FileExtent, to member: Int, at byteOffset: Int) throws(StorageError) {
    let tile = try Memory(byteCount: min(1 << 20, max(extent.range.count, 1)))
    for start in stride(from: 0, to: extent.range.count, by: 1 << 20) {
      let count = min(1 << 20, extent.range.count - start)
      try tile.withMutableBytes { (bytes: inout MutableRawSpan) throws(StorageError) in
        var part = bytes._mutatingExtracting(0..<count)
        try extent.file.read(at: extent.range.lowerBound + start, into: &part)
      }
      try write(tile.bytes.extracting(0..<count), of: member, at: byteOffset + start)
    }
  }

  /// Checks that every byte was given, and writes the headers and the central directory.
  package func finish() throws(StorageError) {
    var directory: [UInt8] = []
    for (plan, pieces) in zip(plans, pieces.withLock { $0 }) {
      var checksum = Checksum()
      for piece in pieces.sorted(by: { $0.offset < $1.offset })
      where piece.offset == checksum.byteCount { checksum.combine(piece.checksum) }
      guard checksum.byteCount == plan.byteCount else {
        throw StorageError(
          .mismatch(
            subject: "the data given to the writer", expected: "\(plan.byteCount) bytes",
            found: "\(checksum.byteCount)"),
          file: output.target)
      }
      try output.write(Self.header(of: plan, checksum), at: plan.header)
      directory += Self.entry(of: plan, checksum)
    }
    let end = Self.end(count: plans.count, size: directory.count, offset: directoryStart)
    try output.write(directory + end, at: directoryStart)
  }

  // MARK: - Records

  private static func header(of plan: Plan, _ checksum: Checksum) -> [UInt8] {
    let isWide = plan.byteCount >= narrow
    let size = UInt32(isWide ? narrow : plan.byteCount)
    let padding =
      plan.start - plan.header - headerBytes - plan.name.count - (isWide ? wideBytes : 0)
    var record = bytes(ZipSignature.local) + bytes(UInt16(isWide ? 45 : 20)) + bytes(utf8Flag)
    record += bytes(UInt16(0)) + bytes(UInt16(0)) + bytes(day)
    record += bytes(checksum.value) + bytes(size) + bytes(size)
    record += bytes(UInt16(plan.name.count)) + bytes(UInt16(padding + (isWide ? wideBytes : 0)))
    record += plan.name
    if isWide { record += wide([plan.byteCount, plan.byteCount]) }
    // PyTorch's own padding field, which other readers pass over.
    record += Array("FB".utf8) + bytes(UInt16(padding - 4))
    return record + [UInt8](repeating: UInt8(ascii: "Z"), count: padding - 4)
  }

  private static func entry(of plan: Plan, _ checksum: Checksum) -> [UInt8] {
    let isWide = plan.byteCount >= narrow
    let isFar = plan.header >= narrow
    let size = UInt32(isWide ? narrow : plan.byteCount)
    let numbers = (isWide ? [plan.byteCount, plan.byteCount] : []) + (isFar ? [plan.header] : [])
    let extra = numbers.isEmpty ? [] : wide(numbers)
    let version = UInt16(extra.isEmpty ? 20 : 45)
    var record = bytes(ZipSignature.entry) + bytes(version) + bytes(version) + bytes(utf8Flag)
    record += bytes(UInt16(0)) + bytes(UInt16(0)) + bytes(day)
    record += bytes(checksum.value) + bytes(size) + bytes(size)
    record += bytes(UInt16(plan.name.count)) + bytes(UInt16(extra.count)) + bytes(UInt16(0))
    record += bytes(UInt16(0)) + bytes(UInt16(0)) + bytes(UInt32(0))
    record += bytes(UInt32(isFar ? narrow : plan.header))
    return record + plan.name + extra
  }

  private static func end(count: Int, size: Int, offset: Int) -> [UInt8] {
    var records: [UInt8] = []
    if count >= 0xFFFF || size >= narrow || offset >= narrow {
      records += bytes(ZipSignature.end64) + bytes(UInt64(44))
      records += bytes(UInt16(45)) + bytes(UInt16(45)) + bytes(UInt32(0)) + bytes(UInt32(0))
      records += bytes(UInt64(count)) + bytes(UInt64(count))
      records += bytes(UInt64(size)) + bytes(UInt64(offset))
      records += bytes(ZipSignature.locator64) + bytes(UInt32(0))
      records += bytes(UInt64(offset + size)) + bytes(UInt32(1))
    }
    let shortCount = UInt16(min(count, 0xFFFF))
    records += bytes(ZipSignature.end) + bytes(UInt16(0)) + bytes(UInt16(0))
    records += bytes(shortCount) + bytes(shortCount)
    records += bytes(UInt32(min(size, narrow))) + bytes(UInt32(min(offset, narrow)))
    return records + bytes(UInt16(0))
  }

  /// Names are UTF-8.
  private static let utf8Flag: UInt16 = 0x0800
  /// The first of January 1980: the same content makes the same bytes.
  private static let day: UInt16 = 0x0021

  private static func wide(_ numbers: [Int]) -> [UInt8] {
    bytes(UInt16(1)) + bytes(UInt16(numbers.count * 8)) + numbers.flatMap { bytes(UInt64($0)) }
  }

  private static func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    (0..<T.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> T($0 * 8)) }
  }
}
