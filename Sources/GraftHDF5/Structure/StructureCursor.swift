internal import CHDF5
internal import GraftCore

/// Reads a part of a file's structure forward; nothing is read past its end.
struct StructureCursor {
  let file: StructureFile
  /// What is being read, and the rule that it breaks when it is wrong.
  let part: String
  let rule: String
  private let bytes: ArraySlice<UInt8>
  private let start: Int
  private var position: Int

  init(
    _ bytes: ArraySlice<UInt8>, at offset: Int, of file: StructureFile, _ part: String,
    _ rule: String
  ) {
    self.bytes = bytes
    self.file = file
    self.part = part
    self.rule = rule
    start = offset
    position = bytes.startIndex
  }

  /// The place of the next byte in the file.
  var offset: Int { start + position - bytes.startIndex }

  /// The bytes that are left.
  var remaining: Int { bytes.endIndex - position }

  /// The bytes that are left, themselves.
  var rest: ArraySlice<UInt8> { bytes[position...] }

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

  /// The next bytes.
  mutating func take(_ count: Int) throws(StorageError) -> ArraySlice<UInt8> {
    guard count >= 0, count <= remaining else {
      throw malformed("\(count) bytes in the \(part)", found: "\(remaining)")
    }
    defer { position += count }
    return bytes[position..<position + count]
  }

  /// Passes over bytes.
  mutating func skip(_ count: Int) throws(StorageError) { _ = try take(count) }

  /// The next bytes as a part of their own.
  mutating func part(
    _ count: Int, _ name: String? = nil, _ rule: String? = nil
  ) throws(StorageError) -> StructureCursor {
    let offset = offset
    return StructureCursor(
      try take(count), at: offset, of: file, name ?? part, rule ?? self.rule)
  }

  /// The same part under another name and rule.
  func under(_ name: String, _ rule: String) -> StructureCursor {
    StructureCursor(rest, at: offset, of: file, name, rule)
  }

  /// The bytes before the next NUL, which is passed.
  mutating func text() throws(StorageError) -> ArraySlice<UInt8> {
    guard let end = rest.firstIndex(of: 0) else {
      throw malformed("a NUL behind a name", found: "none in \(remaining) bytes")
    }
    defer { position = end + 1 }
    return bytes[position..<end]
  }

  // MARK: - Numbers

  /// The next little-endian number of up to 8 bytes.
  mutating func number(_ width: Int) throws(StorageError) -> UInt64 {
    guard width <= remaining, width <= 8 else {
      throw malformed("a number of \(width) bytes in the \(part)", found: "\(remaining) bytes")
    }
    var value: UInt64 = 0
    for place in 0..<width { value |= UInt64(bytes[position + place]) << UInt64(8 * place) }
    position += width
    return value
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
    var value: UInt64 = 0
    for (place, byte) in expected.description.utf8.enumerated() {
      value |= UInt64(byte) << UInt64(8 * place)
    }
    guard found == value else {
      throw StorageError(
        .malformed(
          rule: "HDF5 \(rule)", expected: "the signature \(expected)",
          found: String(found, radix: 16)), file: file.path, offset: offset - 4)
    }
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
    let covered = bytes[..<position]
    let computed = unsafe covered.withUnsafeBytes {
      unsafe graft_lookup3($0.baseAddress, $0.count)
    }
    let stored = UInt32(try number(4))
    guard stored == computed else {
      throw StorageError(
        .malformed(
          rule: "HDF5 H-3", expected: "the checksum \(computed) of the \(part)", found: "\(stored)"),
        file: file.path, offset: offset - 4)
    }
  }
}
