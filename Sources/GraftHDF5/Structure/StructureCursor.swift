internal import CHDF5
internal import GraftCore

/// Reads a part of a file's structure forward; nothing is read past its end.
///
/// A file of 100,000 datasets has millions of parts: a cursor is a place in a block of bytes, and copies nothing.
struct StructureCursor {
  let file: StructureFile
  /// What is being read, and the rule that it breaks when it is wrong.
  let part: StaticString
  let rule: StaticString
  private let block: [UInt8]
  private let first: Int
  private let end: Int
  /// Where in the file the block begins.
  private let base: Int
  private var position: Int

  /// Reads a range of a block of bytes, whose first one is at `offset` of the file.
  init(
    _ block: [UInt8], _ range: Range<Int>, at offset: Int, of file: StructureFile,
    _ part: StaticString, _ rule: StaticString
  ) {
    precondition(range.lowerBound >= 0 && range.upperBound <= block.count, "a part of the block")
    self.block = block
    self.file = file
    self.part = part
    self.rule = rule
    first = range.lowerBound
    end = range.upperBound
    base = offset - range.lowerBound
    position = first
  }

  /// The place of the next byte in the file.
  var offset: Int { base + position }

  /// The bytes that are left.
  var remaining: Int { end - position }

  /// The bytes that are left, themselves.
  var rest: ArraySlice<UInt8> { block[position..<end] }

  /// The error for something in this part that is wrong.
  func malformed(_ expected: String, found: String) -> StorageError {
    StorageError(
      .malformed(rule: "HDF5 \(rule)", expected: expected, found: found), file: file.path,
      offset: offset)
  }

  /// The error for something in this part that isn't supported.
  func unsupported(_ feature: String, found: String) -> StorageError {
    StorageError(
      .unsupported(feature: "\(feature) (\(rule))", found: found), file: file.path, offset: offset)
  }

  // MARK: - Bytes

  /// Passes over bytes.
  mutating func skip(_ count: Int) throws(StorageError) {
    guard count >= 0, count <= remaining else {
      throw malformed("\(count) bytes in the \(part)", found: "\(remaining)")
    }
    position += count
  }

  /// The next bytes.
  mutating func take(_ count: Int) throws(StorageError) -> ArraySlice<UInt8> {
    let start = position
    try skip(count)
    return block[start..<position]
  }

  /// The next bytes as a part of their own.
  mutating func part(
    _ count: Int, _ name: StaticString? = nil, _ rule: StaticString? = nil
  ) throws(StorageError) -> StructureCursor {
    let start = position
    try skip(count)
    return StructureCursor(
      block, start..<position, at: base + start, of: file, name ?? part, rule ?? self.rule)
  }

  /// The same part under another name and rule.
  func under(_ name: StaticString, _ rule: StaticString) -> StructureCursor {
    StructureCursor(block, position..<end, at: offset, of: file, name, rule)
  }

  /// The next bytes as a place to come back to.
  mutating func pass(_ count: Int) throws(StorageError) -> Range<Int> {
    let start = position
    try skip(count)
    return start..<position
  }

  /// The bytes that were passed before, as a part of their own.
  func part(at place: Range<Int>) -> StructureCursor {
    StructureCursor(block, place, at: base + place.lowerBound, of: file, part, rule)
  }

  /// The bytes before the next NUL, which is passed.
  mutating func text() throws(StorageError) -> ArraySlice<UInt8> {
    let stop = nextNUL
    guard stop < end else {
      throw malformed("a NUL behind a name", found: "none in \(remaining) bytes")
    }
    defer { position = stop + 1 }
    return block[position..<stop]
  }

  /// Where the next NUL stands; the end where there is none.
  private var nextNUL: Int {
    let span = block.span
    var place = position
    while place < end, span[place] != 0 { place += 1 }
    return place
  }

  /// Whether the next bytes are a signature.
  func begins(with signature: StaticString) -> Bool {
    remaining >= 4 && word(at: position) == Self.word(signature)
  }

  // MARK: - Numbers

  /// The next little-endian number of up to 8 bytes.
  mutating func number(_ width: Int) throws(StorageError) -> UInt64 {
    guard width <= remaining, width <= 8 else {
      throw malformed("a number of \(width) bytes in the \(part)", found: "\(remaining) bytes")
    }
    defer { position += width }
    switch width {
    case 1: return UInt64(block[position])
    case 2: return UInt64(block.littleEndian(at: position, as: UInt16.self))
    case 4: return UInt64(block.littleEndian(at: position, as: UInt32.self))
    case 8: return block.littleEndian(at: position, as: UInt64.self)
    default:
      var value: UInt64 = 0
      for place in 0..<width { value |= UInt64(block[position + place]) << UInt64(8 * place) }
      return value
    }
  }

  mutating func u8() throws(StorageError) -> Int { Int(try number(1)) }
  mutating func u16() throws(StorageError) -> Int { Int(try number(2)) }
  mutating func u32() throws(StorageError) -> Int { Int(try number(4)) }
  mutating func u64() throws(StorageError) -> UInt64 { try number(8) }

  /// The next number, which counts or measures something in memory.
  mutating func size(_ width: Int = 8) throws(StorageError) -> Int {
    let value = try number(width)
    guard let size = Int(exactly: value) else {
      throw malformed("a size below 2^63", found: "\(value)")
    }
    return size
  }

  /// The next address; nil when it is the one that means nowhere.
  mutating func address() throws(StorageError) -> UInt64? {
    let value = try number(8)
    return value == .max ? nil : value
  }

  // MARK: - Checks

  /// Passes a signature.
  mutating func signature(_ expected: StaticString) throws(StorageError) {
    let found = try number(4)
    guard found == Self.word(expected) else {
      throw StorageError(
        .malformed(
          rule: "HDF5 \(rule)", expected: "the signature \(expected)",
          found: String(found, radix: 16)), file: file.path, offset: offset - 4)
    }
  }

  /// The four letters of a signature as a number.
  private static func word(_ signature: StaticString) -> UInt64 {
    signature.withUTF8Buffer { letters in
      var value: UInt64 = 0
      for place in 0..<4 { value |= UInt64(unsafe letters[place]) << UInt64(8 * place) }
      return value
    }
  }

  private func word(at place: Int) -> UInt64 {
    (0..<4).reduce(0) { $0 | UInt64(block[place + $1]) << UInt64(8 * $1) }
  }

  /// Passes a version, which must be one of a range.
  @discardableResult
  mutating func version(_ known: ClosedRange<Int>) throws(StorageError) -> Int {
    let version = try u8()
    guard known.contains(version) else {
      throw StorageError(
        .unsupported(feature: "version of a \(part) (\(rule))", found: "\(version)"),
        file: file.path, offset: offset - 1)
    }
    return version
  }

  /// Passes the checksum of everything before it.
  mutating func checksum() throws(StorageError) {
    let computed = block.checksum(of: first..<position)
    let stored = UInt32(try number(4))
    guard stored == computed else {
      throw StorageError(
        .malformed(
          rule: "HDF5 H-3", expected: "the checksum \(computed) of the \(part)", found: "\(stored)"),
        file: file.path, offset: offset - 4)
    }
  }
}

extension [UInt8] {
  /// The checksum that HDF5 gives a run of bytes.
  func checksum(of range: Range<Int>) -> UInt32 {
    unsafe self[range].withUnsafeBytes { unsafe graft_lookup3($0.baseAddress, $0.count) }
  }
}
