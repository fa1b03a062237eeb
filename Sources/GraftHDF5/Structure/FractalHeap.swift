internal import GraftCore
internal import Synchronization

/// A heap of the links or attributes of one object: blocks that grow by doubling.
final class FractalHeap: Sendable {
  /// The bytes of an object's identifier.
  let identifierBytes: Int
  private let file: StructureFile
  private let address: UInt64
  private let hasChecksums: Bool
  private let table: DoublingTable
  private let lengthBytes: Int
  private let hugeTree: UInt64?
  private let hugeIsDirect: Bool
  /// The blocks that were found to be in order.
  private let checked = Mutex<Set<UInt64>>([])

  private static let rule: StaticString = "H-23"

  /// The blocks of a heap: rows of `width` blocks each, of a size that doubles from the third row on.
  private struct DoublingTable {
    let width: Int
    let firstBytes: Int
    let maximumDirectBytes: Int
    let offsetBytes: Int
    let root: UInt64?
    let rootRows: Int

    func blockBytes(row: Int) -> Int { row == 0 ? firstBytes : firstBytes << (row - 1) }

    /// The rows of blocks with objects; those below them are tables again.
    var directRows: Int {
      maximumDirectBytes.trailingZeroBitCount - firstBytes.trailingZeroBitCount + 2
    }

    /// The rows of a table that stands for `bytes` bytes.
    func rows(of bytes: Int) -> Int {
      bytes.trailingZeroBitCount - (firstBytes * width).trailingZeroBitCount + 1
    }
  }

  /// Reads the head of a heap.
  init(at address: UInt64, in file: StructureFile) throws(StorageError) {
    self.file = file
    self.address = address
    var cursor = try file.cursor(at: address, count: 146, "fractal heap", Self.rule)
    try cursor.signature("FRHP")
    try cursor.version(0...0)
    identifierBytes = try cursor.u16()
    let filterBytes = try cursor.u16()
    hasChecksums = try cursor.u8() & 2 != 0
    let maximumObjectBytes = try cursor.u32()
    try cursor.skip(8)
    hugeTree = try cursor.address()
    try cursor.skip(80)
    let width = try cursor.u16()
    let firstBytes = try cursor.size()
    let maximumDirectBytes = try cursor.size()
    let maximumHeapBits = try cursor.u16()
    try cursor.skip(2)
    let root = try cursor.address()
    let rootRows = try cursor.u16()
    guard filterBytes == 0 else {
      throw cursor.unsupported("heap", found: "one with filters")
    }
    try cursor.checksum()
    func isPower(_ value: Int) -> Bool { value > 0 && value & (value - 1) == 0 }
    guard isPower(width), isPower(firstBytes), isPower(maximumDirectBytes),
      firstBytes <= maximumDirectBytes, maximumDirectBytes <= HDF5Limits.partBytes,
      (1...64).contains(maximumHeapBits), width <= 1 << 12, rootRows <= 64,
      (2...64).contains(identifierBytes)
    else {
      throw cursor.malformed("a table of blocks that double", found: "other numbers")
    }
    table = DoublingTable(
      width: width, firstBytes: firstBytes, maximumDirectBytes: maximumDirectBytes,
      offsetBytes: (maximumHeapBits + 7) / 8, root: root, rootRows: rootRows)
    lengthBytes = min(
      Datatype.width(of: UInt64(maximumDirectBytes)),
      Datatype.width(of: UInt64(maximumObjectBytes)))
    hugeIsDirect = identifierBytes - 1 >= 16
  }

  /// The bytes of an object, to be read as a part of some name under some rule.
  ///
  /// - Throws: ``StorageError`` when the identifier leads nowhere.
  func object(
    _ identifier: StructureCursor, _ part: StaticString, _ rule: StaticString
  ) throws(StorageError) -> StructureCursor {
    var cursor = identifier.under("heap identifier", Self.rule)
    let head = try cursor.u8()
    guard head >> 6 == 0 else {
      throw malformed("an identifier of version 0", found: "\(head >> 6)")
    }
    switch head >> 4 & 3 {
    case 0:
      guard table.offsetBytes <= 8 else { throw malformed("offsets of 8 bytes", found: "more") }
      let offset = try cursor.size(table.offsetBytes)
      let count = try cursor.size(lengthBytes)
      return try managed(offset, count: count, part, rule)
    case 1: return try huge(&cursor, part, rule)
    case 2:
      let isLong = identifierBytes - 1 > 16
      let count = isLong ? (head & 15) << 8 | (try cursor.u8()) : head & 15
      return try cursor.part(count + 1, part, rule)
    default: throw malformed("a managed, huge or tiny object", found: "another kind")
    }
  }

  // MARK: - Objects

  private func managed(
    _ offset: Int, count: Int, _ part: StaticString, _ rule: StaticString
  ) throws(StorageError) -> StructureCursor {
    guard var block = table.root else { throw malformed("a block of objects", found: "none") }
    var rows = table.rootRows
    var (blockBytes, rest) = (table.firstBytes, offset)
    // Each table below stands for less than the one above.
    while rows > 0 {
      guard let place = place(of: rest, rows: rows) else {
        throw malformed("an object inside the heap", found: "one at \(offset)")
      }
      let child = try child(place.index, of: block, rows: rows)
      blockBytes = table.blockBytes(row: place.row)
      rest = place.rest
      block = child
      guard place.row >= table.directRows else { break }
      rows = min(table.rows(of: blockBytes), rows - 1)
      guard rows > 0 else { throw malformed("a table of rows", found: "none") }
    }
    let isChecked = checked.withLock { $0.contains(block) }
    let overhead = 13 + table.offsetBytes + (hasChecksums ? 4 : 0)
    guard rest >= overhead, count <= blockBytes, rest <= blockBytes - count else {
      throw malformed("an object inside its block", found: "\(count) bytes at \(rest)")
    }
    if !isChecked {
      try check(block, blockBytes)
      _ = checked.withLock { $0.insert(block) }
    }
    let (start, isOutside) = block.addingReportingOverflow(UInt64(rest))
    guard !isOutside else { throw malformed("an address in the file", found: "\(block)") }
    return try file.cursor(at: start, count: count, part, rule)
  }

  /// The row and number of the block at an offset of a table, and the rest inside it.
  private func place(of offset: Int, rows: Int) -> (row: Int, index: Int, rest: Int)? {
    var start = 0
    for row in 0..<rows {
      let bytes = table.blockBytes(row: row)
      let (rowBytes, isTooMuch) = bytes.multipliedReportingOverflow(by: table.width)
      guard bytes > 0, !isTooMuch else { return nil }
      if offset - start < rowBytes {
        let column = (offset - start) / bytes
        return (row, row * table.width + column, (offset - start) % bytes)
      }
      let (next, isOutside) = start.addingReportingOverflow(rowBytes)
      guard !isOutside else { return nil }
      start = next
    }
    return nil
  }

  /// The address of a block that a table points to.
  private func child(_ index: Int, of block: UInt64, rows: Int) throws(StorageError) -> UInt64 {
    let prefix = 13 + table.offsetBytes
    let count = prefix + 8 * rows * table.width + 4
    let isChecked = checked.withLock { $0.contains(block) }
    if !isChecked {
      var cursor = try file.cursor(at: block, count: count, "fractal heap", Self.rule)
      try cursor.signature("FHIB")
      try checkOwner(&cursor)
      try cursor.skip(count - 4 - 13)
      try cursor.checksum()
      _ = checked.withLock { $0.insert(block) }
    }
    let (start, isOutside) = block.addingReportingOverflow(UInt64(prefix + 8 * index))
    guard !isOutside else { throw malformed("an address in the file", found: "\(block)") }
    var entry = try file.cursor(at: start, count: 8, "fractal heap", Self.rule)
    guard let child = try entry.address() else {
      throw malformed("a block of objects", found: "none")
    }
    return child
  }

  /// Checks a block with objects, whose checksum counts its own place as zeros.
  private func check(_ block: UInt64, _ blockBytes: Int) throws(StorageError) {
    var cursor = try file.cursor(at: block, count: blockBytes, "fractal heap", Self.rule)
    let (whole, start) = (cursor.rest, cursor.offset)
    try cursor.signature("FHDB")
    try checkOwner(&cursor)
    try cursor.skip(table.offsetBytes)
    guard hasChecksums else { return }
    let place = 13 + table.offsetBytes
    let stored = try cursor.number(4)
    var bytes = Array(whole)
    for byte in place..<place + 4 { bytes[byte] = 0 }
    let count = bytes.count
    bytes += (0..<4).map { UInt8(truncatingIfNeeded: stored >> UInt64(8 * $0)) }
    // The checksum is taken from behind the bytes, and errors tell where it stands.
    var zeroed = StructureCursor(
      bytes, 0..<bytes.count, at: start + place - count, of: file, "fractal heap", Self.rule)
    try zeroed.skip(count)
    try zeroed.checksum()
  }

  private func checkOwner(_ cursor: inout StructureCursor) throws(StorageError) {
    try cursor.version(0...0)
    let owner = try cursor.number(8)
    guard owner == address else {
      throw cursor.malformed("a block of the heap at \(address)", found: "one of \(owner)")
    }
  }

  /// An object too large for the blocks, in a place of its own.
  private func huge(
    _ cursor: inout StructureCursor, _ part: StaticString, _ rule: StaticString
  ) throws(StorageError) -> StructureCursor {
    if hugeIsDirect {
      let (place, count) = (try cursor.number(8), try cursor.size())
      return try file.cursor(at: place, count: count, part, rule)
    }
    let wanted = try cursor.number(min(8, identifierBytes - 1))
    guard let hugeTree else { throw malformed("a tree of huge objects", found: "none") }
    var found: (place: UInt64, count: Int)?
    try BTree2(at: hugeTree, in: file).forEachRecord { record throws(StorageError) in
      var record = record
      let (place, count) = (try record.number(8), try record.size())
      if try record.number(8) == wanted { found = (place, count) }
    }
    guard let found else { throw malformed("a huge object", found: "none of number \(wanted)") }
    return try file.cursor(at: found.place, count: found.count, part, rule)
  }

  private func malformed(_ expected: String, found: String) -> StorageError {
    StorageError(
      .malformed(rule: "HDF5 \(Self.rule)", expected: expected, found: found), file: file.path)
  }
}
