package import GraftCore

/// One GGUF file with its header read and every number in it checked.
///
/// The rules are those of `Formats/gguf/SPEC.md`.
package struct GGUFFile: Sendable {
  /// The file.
  package let file: InputFile
  /// 2 or 3.
  package let version: Int
  /// What tensor data is aligned to.
  package let alignment: Int
  /// The keys and values, in file order.
  package let entries: [(key: String, value: GGUFValue)]
  /// The tensors, in file order.
  package let tensors: [TensorInfo]
  /// Where each tensor's bytes lie.
  package let ranges: [Range<Int>]
  /// Finds the entries by their keys.
  private let keys: NameTable

  /// Reads a header that begins at a byte of the file.
  package init(_ file: InputFile, at base: Int = 0) throws(StorageError) {
    guard base >= 0, base <= file.byteCount else {
      throw StorageError(
        .truncated(part: "magic (gguf G-1)", expectedBytes: 4, foundBytes: 0), file: file.path,
        offset: base)
    }
    var cursor = GGUFCursor(file, at: base)
    version = try Self.version(&cursor)
    let tensorCount = try cursor.count(
      of: "tensors (gguf G-3)", atMost: GGUFLimits.tensors, minimum: 25)
    let keyCount = try cursor.count(
      of: "metadata keys (gguf G-4)", atMost: GGUFLimits.metadataKeys, minimum: 14)
    (entries, keys, alignment) = try Self.metadata(keyCount, &cursor)
    let declared = try Self.tensors(tensorCount, alignment: alignment, &cursor)
    let header = cursor.offset - base
    let padding = (alignment - header % alignment) % alignment
    tensors = declared.map(\.info)
    ranges = try Self.place(declared, dataAt: cursor.offset + padding, in: file)
    self.file = file
  }

  /// The value of a key.
  package func value(of key: String) -> GGUFValue? {
    keys.position(NameTable.hash(Array(key.utf8))) {
      entries[$0].key.utf8.elementsEqual(key.utf8)
    }.map { entries[$0].value }
  }
}

// MARK: - The parts of a header

extension GGUFFile {
  private static func version(_ cursor: inout GGUFCursor) throws(StorageError) -> Int {
    let magic = Array("GGUF".utf8)
    let start = cursor.offset
    let found = try Array(cursor.bytes(min(4, cursor.remaining), "magic (gguf G-1)"))
    guard !found.isEmpty, magic.starts(with: found) else {
      throw StorageError(
        .malformed(rule: "gguf G-1", expected: "the magic GGUF", found: "bytes \(found)"),
        file: cursor.path, offset: start)
    }
    guard found.count == 4 else {
      throw StorageError(
        .truncated(part: "magic (gguf G-1)", expectedBytes: 4, foundBytes: found.count),
        file: cursor.path,
        offset: start)
    }
    let offset = cursor.offset
    let version = try cursor.integer(UInt32.self, "version (gguf G-2)")
    switch version {
    case 2, 3: return Int(version)
    default:
      let name =
        switch version {
        case 1: "version 1 (32-bit lengths)"
        case 0x0200_0000, 0x0300_0000: "version \(version.byteSwapped), big-endian"
        default: "version \(version)"
        }
      throw StorageError(
        .unsupported(feature: "version (gguf G-2)", found: name), file: cursor.path, offset: offset)
    }
  }

  private static func metadata(
    _ count: Int, _ cursor: inout GGUFCursor
  ) throws(StorageError) -> ([(key: String, value: GGUFValue)], keys: NameTable, alignment: Int) {
    var entries: [(key: String, value: GGUFValue)] = []
    var keys = NameTable(reserving: count)
    var alignment = 32
    entries.reserveCapacity(count)
    let headerStart = cursor.offset
    for _ in 0..<count {
      let start = cursor.offset
      let text = try cursor.text("key", "gguf G-5", atMost: GGUFLimits.keyBytes)
      let key = String(decoding: text, as: UTF8.self)
      guard !text.isEmpty, !text.contains(0) else {
        throw StorageError(
          .malformed(
            rule: "gguf G-5", expected: "a key without NUL",
            found: text.isEmpty ? "an empty key" : "\"\(key)\""),
          file: cursor.path, offset: start)
      }
      let hash = NameTable.hash(text)
      guard keys.position(hash, where: { entries[$0].key.utf8.elementsEqual(text) }) == nil else {
        throw .repeated(key, rule: "gguf G-6", file: cursor.path, offset: start)
      }
      keys.add(hash, at: entries.count)
      let valueStart = cursor.offset
      let value = try value(of: key, &cursor)
      if key == "general.alignment" {
        guard case .unsigned(let number, 32) = value, number > 0, number & (number - 1) == 0,
          number <= GGUFLimits.alignment
        else {
          throw StorageError(
            .malformed(
              rule: "gguf G-10", expected: "general.alignment as a u32 power of two up to 65536",
              found: "\(value) (\(value.typeName))"),
            file: cursor.path, offset: valueStart)
        }
        alignment = Int(number)
      }
      guard cursor.offset - headerStart <= GGUFLimits.headerBytes else {
        throw StorageError(
          .limitExceeded(
            limit: "bytes of metadata (gguf G-4)", maximum: GGUFLimits.headerBytes, found: "more"),
          file: cursor.path, offset: start)
      }
      entries.append((key, value))
    }
    return (entries, keys, alignment)
  }

  private static func value(
    of key: String, _ cursor: inout GGUFCursor
  ) throws(StorageError) -> GGUFValue {
    let start = cursor.offset
    let type = try cursor.integer(UInt32.self, "value type (gguf G-7)")
    let part = "metadata value (gguf G-7)"
    switch type {
    case 0: return .unsigned(UInt64(try cursor.integer(UInt8.self, part)), bits: 8)
    case 1: return .signed(Int64(Int8(bitPattern: try cursor.integer(UInt8.self, part))), bits: 8)
    case 2: return .unsigned(UInt64(try cursor.integer(UInt16.self, part)), bits: 16)
    case 3:
      return .signed(Int64(Int16(bitPattern: try cursor.integer(UInt16.self, part))), bits: 16)
    case 4: return .unsigned(UInt64(try cursor.integer(UInt32.self, part)), bits: 32)
    case 5:
      return .signed(Int64(Int32(bitPattern: try cursor.integer(UInt32.self, part))), bits: 32)
    case 6: return .float32(Float(bitPattern: try cursor.integer(UInt32.self, part)))
    case 7: return .bool(try bool(&cursor, key))
    case 8: return .string(try cursor.string("string", "gguf G-8"))
    case 9: return .array(try array(of: key, &cursor))
    case 10: return .unsigned(try cursor.integer(UInt64.self, part), bits: 64)
    case 11: return .signed(Int64(bitPattern: try cursor.integer(UInt64.self, part)), bits: 64)
    case 12: return .float64(Double(bitPattern: try cursor.integer(UInt64.self, part)))
    default: throw unknownType(type, of: key, cursor.path, start)
    }
  }

  private static func array(
    of key: String, _ cursor: inout GGUFCursor
  ) throws(StorageError) -> GGUFArray {
    let start = cursor.offset
    let type = try cursor.integer(UInt32.self, "element type (gguf G-7)")
    let widths = [1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8]
    guard type < widths.count else { throw unknownType(type, of: key, cursor.path, start) }
    guard type != 9 else {
      throw StorageError(
        .unsupported(feature: "array of arrays (gguf G-9)", found: "key \"\(key)\""),
        file: cursor.path, offset: start)
    }
    let count = try cursor.count(
      of: "array elements (gguf G-9)", atMost: GGUFLimits.arrayElements, minimum: widths[Int(type)])
    if widths[Int(type)] < 4, type != 7 { try cursor.addNarrow(count) }
    switch type {
    case 0: return .unsigned(try integers(UInt8.self, count, &cursor).map(UInt64.init), bits: 8)
    case 1:
      return .signed(
        try integers(UInt8.self, count, &cursor).map { Int64(Int8(bitPattern: $0)) }, bits: 8)
    case 2:
      return .unsigned(try integers(UInt16.self, count, &cursor).map(UInt64.init), bits: 16)
    case 3:
      return .signed(
        try integers(UInt16.self, count, &cursor).map { Int64(Int16(bitPattern: $0)) },
        bits: 16)
    case 4:
      return .unsigned(try integers(UInt32.self, count, &cursor).map(UInt64.init), bits: 32)
    case 5:
      return .signed(
        try integers(UInt32.self, count, &cursor).map { Int64(Int32(bitPattern: $0)) },
        bits: 32)
    case 6: return .float32(try integers(UInt32.self, count, &cursor).map(Float.init(bitPattern:)))
    case 10: return .unsigned(try integers(UInt64.self, count, &cursor), bits: 64)
    case 11:
      return .signed(
        try integers(UInt64.self, count, &cursor).map(Int64.init(bitPattern:)), bits: 64)
    case 12:
      return .float64(try integers(UInt64.self, count, &cursor).map(Double.init(bitPattern:)))
    case 7:
      var elements: [Bool] = []
      elements.reserveCapacity(count)
      for _ in 0..<count { elements.append(try bool(&cursor, key)) }
      return .bools(elements)
    default:
      var elements: [String] = []
      elements.reserveCapacity(count)
      for _ in 0..<count { elements.append(try cursor.string("string", "gguf G-8")) }
      return .strings(elements)
    }
  }

  private static func integers<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
    _ type: T.Type, _ count: Int, _ cursor: inout GGUFCursor
  ) throws(StorageError) -> [T] {
    var elements: [T] = []
    elements.reserveCapacity(count)
    for _ in 0..<count { elements.append(try cursor.integer(type, "array (gguf G-9)")) }
    return elements
  }

  private static func bool(_ cursor: inout GGUFCursor, _ key: String) throws(StorageError) -> Bool {
    let start = cursor.offset
    let byte = try cursor.integer(UInt8.self, "boolean (gguf G-7)")
    guard byte <= 1 else {
      throw StorageError(
        .malformed(rule: "gguf G-7", expected: "0 or 1 for \"\(key)\"", found: String(byte)),
        file: cursor.path, offset: start)
    }
    return byte == 1
  }

  private static func unknownType(
    _ type: UInt32, of key: String, _ path: String, _ offset: Int
  ) -> StorageError {
    StorageError(
      .malformed(
        rule: "gguf G-7", expected: "a value type from 0 to 12 for \"\(key)\"", found: String(type)),
      file: path, offset: offset)
  }
}
