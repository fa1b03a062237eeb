internal import GraftCore

/// Reads the headers of the arrays of a file; those met last are known again, so that the many arrays of one shape are parsed once.
struct NumPyHeaders {
  private var window: FileWindow
  private var known: [(bytes: [UInt8], header: NumPyHeader)] = []
  private var oldest = 0

  private static let capacity = 8

  init(_ file: InputFile) { window = FileWindow(file) }

  /// The path, for errors.
  var path: String { window.file.path }

  /// The header that an array begins with.
  ///
  /// - Parameter base: Where the array begins in the file; nil where it doesn't stand there as it is.
  /// - Throws: ``StorageError`` with the broken rule and the byte.
  mutating func header(
    of array: ElementBytes, base: Int?, limits: FormatLimits
  ) throws(StorageError) -> NumPyHeader {
    let start = try first(min(array.byteCount, NumPyHeader.preambleByteCount), of: array)
    let byteCount = try NumPyHeader.byteCount(
      start, of: array.byteCount, file: path, base: base, limits: limits)
    let bytes = try first(byteCount, of: array)
    for entry in known where entry.bytes.hasSameBytes(as: bytes) { return entry.header }
    let own = Array(bytes)
    let header = try NumPyHeader(own, file: path, base: base)
    if known.count < Self.capacity {
      known.append((own, header))
    } else {
      known[oldest] = (own, header)
      oldest = (oldest + 1) % Self.capacity
    }
    return header
  }

  private mutating func first(
    _ count: Int, of array: ElementBytes
  ) throws(StorageError) -> ArraySlice<UInt8> {
    if case .file(_, let range) = array {
      return try window.bytes(at: range.lowerBound, count: count)
    }
    var bytes = [UInt8](repeating: 0, count: count)
    try bytes.withMutableRawBytes { (whole: inout MutableRawSpan) throws(StorageError) in
      try array.read(at: 0, into: &whole)
    }
    return bytes[...]
  }
}
