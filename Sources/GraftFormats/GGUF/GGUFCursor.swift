internal import GraftCore

/// Reads a GGUF header forward through a window, never past the file and never more than is there.
///
/// Every length is compared with the bytes that remain before anything is allocated for it.
struct GGUFCursor {
  private let file: InputFile
  private var window: [UInt8] = []
  private var windowStart: Int
  /// The next byte of the file.
  private(set) var offset: Int
  /// The elements of one or two bytes in all arrays so far, which take eight in memory.
  private var narrowElements = 0

  private static let windowByteCount = 1 << 20

  init(_ file: InputFile, at offset: Int) {
    self.file = file
    self.offset = offset
    windowStart = offset
  }

  /// The bytes left in the file.
  var remaining: Int { file.byteCount - offset }

  /// The path, for errors.
  var path: String { file.path }

  /// Makes sure that the next bytes are in the window.
  private mutating func need(
    _ count: Int, for part: @autoclosure () -> String
  ) throws(StorageError) -> Int {
    guard count <= remaining else {
      throw StorageError(
        .truncated(part: part(), expectedBytes: count, foundBytes: remaining), file: path,
        offset: offset)
    }
    if offset + count > windowStart + window.count {
      window = try file.bytes(at: offset, count: min(remaining, max(count, Self.windowByteCount)))
      windowStart = offset
    }
    return offset - windowStart
  }

  /// The next little-endian integer.
  mutating func integer<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
    _: T.Type, _ part: @autoclosure () -> String
  ) throws(StorageError) -> T {
    let width = T.bitWidth / 8
    let start = try need(width, for: part())
    offset += width
    return window.littleEndian(at: start, as: T.self)
  }

  /// The next bytes.
  mutating func bytes(
    _ count: Int, _ part: @autoclosure () -> String
  ) throws(StorageError) -> ArraySlice<UInt8> {
    let start = try need(count, for: part())
    offset += count
    return window[start..<start + count]
  }

  /// A declared count of things that take at least `minimum` bytes each: under its limit, and with room in the file.
  mutating func count(
    of things: @autoclosure () -> String, atMost limit: Int, minimum: Int
  ) throws(StorageError) -> Int {
    let start = offset
    let declared = try integer(UInt64.self, things())
    guard let count = Int(exactly: declared), count <= limit else {
      throw StorageError(
        .limitExceeded(limit: things(), maximum: limit, found: String(declared)), file: path,
        offset: start)
    }
    let (least, overflow) = count.multipliedReportingOverflow(by: minimum)
    guard !overflow, least <= remaining else {
      throw StorageError(
        .truncated(
          part: things(), expectedBytes: overflow ? .max : least, foundBytes: remaining),
        file: path, offset: start)
    }
    return count
  }

  /// Counts the elements of an array of one or two bytes each.
  mutating func addNarrow(_ count: Int) throws(StorageError) {
    narrowElements += count
    guard narrowElements <= GGUFLimits.narrowElements else {
      throw StorageError(
        .limitExceeded(
          limit: "array elements of one or two bytes (gguf G-9)",
          maximum: GGUFLimits.narrowElements, found: "\(narrowElements)"), file: path,
        offset: offset)
    }
  }

  /// A string: a 64-bit length and that many bytes of UTF-8.
  mutating func string(
    _ part: StaticString, _ rule: StaticString, atMost limit: Int = GGUFLimits.stringBytes
  ) throws(StorageError) -> String {
    let length = try count(of: "bytes of a \(part) (\(rule))", atMost: limit, minimum: 1)
    let start = offset
    guard let text = String(validating: try bytes(length, "\(part)"), as: UTF8.self) else {
      throw notText(part, rule, at: start)
    }
    return text
  }

  /// The bytes of a string, for those that come by the 100,000.
  mutating func text(
    _ part: StaticString, _ rule: StaticString, atMost limit: Int
  ) throws(StorageError) -> [UInt8] {
    let length = try count(of: "bytes of a \(part) (\(rule))", atMost: limit, minimum: 1)
    let start = offset
    let text = Array(try bytes(length, "\(part)"))
    guard text.span.isASCII || String(validating: text, as: UTF8.self) != nil else {
      throw notText(part, rule, at: start)
    }
    return text
  }

  private func notText(_ part: StaticString, _ rule: StaticString, at start: Int) -> StorageError {
    StorageError(
      .malformed(rule: "\(rule)", expected: "UTF-8 in a \(part)", found: "other bytes"),
      file: path, offset: start)
  }
}

/// What a header may declare at most; real files stay far below.
enum GGUFLimits {
  static let metadataKeys = 1 << 24
  static let tensors = 1 << 24
  static let keyBytes = 65535
  static let nameBytes = 64
  static let stringBytes = 1 << 30
  static let arrayElements = 1 << 30
  static let narrowElements = 1 << 22
  static let headerBytes = 1 << 31
  static let alignment = 65536
  static let shards = 99999
}
