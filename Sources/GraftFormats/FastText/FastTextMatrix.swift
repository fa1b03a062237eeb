internal import GraftCore

/// A matrix of a fastText model, as f32 or quantized by parts of rows (Jégou, Douze, Schmid 2011).
struct FastTextMatrix: Sendable {
  let rows: Int
  let columns: Int
  /// Where it ends in the file.
  let end: Int
  private let file: InputFile
  private let storage: Storage

  private enum Storage: Sendable {
    /// Rows of f32 from a byte on.
    case dense(offset: Int)
    case quantized(ProductQuantization)
  }

  /// Reads what stands before the numbers of a matrix, and checks that they are there.
  ///
  /// - Parameters:
  ///   - offset: Where the byte stands that says whether it is quantized.
  ///   - name: `input` or `output`.
  /// - Throws: ``StorageError`` with the broken rule and the byte.
  init(
    _ file: InputFile, at offset: Int, _ name: String, columns: Int, mayBeQuantized: Bool = true
  ) throws(StorageError) {
    var cursor = FastTextCursor(file, at: offset, part: "\(name) matrix (fasttext F-8)")
    let flag = try cursor.byte()
    guard flag <= (mayBeQuantized ? 1 : 0) else {
      throw FastTextArguments.malformed(
        "F-7", mayBeQuantized ? "0 or 1" : "0, as in the input matrix", "\(flag)", file, offset)
    }
    let hasNorms = flag == 1 ? try cursor.flag("F-7") : false
    let place = cursor.offset
    let (rows, width) = (try cursor.integer(Int64.self), try cursor.integer(Int64.self))
    guard rows >= 0, width == Int64(columns) else {
      throw FastTextArguments.malformed(
        "F-8", "rows of \(columns) numbers", "\(rows) of \(width)", file, place)
    }
    self.file = file
    self.rows = Int(rows)
    self.columns = columns
    guard flag == 1 else {
      let (count, overflow) = Int(rows).multipliedReportingOverflow(by: columns * 4)
      storage = .dense(offset: try cursor.skip(overflow ? .max : count))
      end = cursor.offset
      return
    }
    storage = .quantized(
      try ProductQuantization(
        &cursor, rows: Int(rows), columns: columns, hasNorms: hasNorms, file: file))
    end = cursor.offset
  }

  /// Whether the matrix is quantized.
  var isQuantized: Bool {
    if case .quantized = storage { true } else { false }
  }

  /// The bytes of some rows, where they stand as f32.
  func extent(of range: Range<Int>) -> FileExtent? {
    guard case .dense(let offset) = storage else { return nil }
    let begin = offset + range.lowerBound * columns * 4
    return FileExtent(file: file, range: begin..<begin + range.count * columns * 4)
  }

  /// Adds a row to a vector, in f32.
  ///
  /// - Parameter buffer: Room for a row.
  func add(
    _ row: Int, to values: inout [Float], _ buffer: inout [Float]
  ) throws(StorageError) {
    switch storage {
    case .dense(let offset):
      try buffer.withMutableRawBytes { (bytes: inout MutableRawSpan) throws(StorageError) in
        try file.read(at: offset + row * columns * 4, into: &bytes)
      }
      for column in values.indices { values[column] += buffer[column] }
    case .quantized(let quantization):
      try quantization.add(row, to: &values)
    }
  }
}

/// Reads integers of a fastText model one by one.
struct FastTextCursor {
  let file: InputFile
  private(set) var offset: Int
  private let part: String

  /// Begins at a byte; `part` is what the file ends inside of, if it does.
  init(_ file: InputFile, at offset: Int, part: String) {
    self.file = file
    self.offset = offset
    self.part = part
  }

  mutating func byte() throws(StorageError) -> UInt8 { try integer(UInt8.self) }

  /// A byte that is 0 or 1.
  mutating func flag(_ rule: String) throws(StorageError) -> Bool {
    let byte = try byte()
    guard byte <= 1 else {
      throw FastTextArguments.malformed(rule, "0 or 1", "\(byte)", file, offset - 1)
    }
    return byte == 1
  }

  mutating func integer<Value: FixedWidthInteger & BitwiseCopyable>(
    _: Value.Type
  ) throws(StorageError) -> Value {
    let size = MemoryLayout<Value>.size
    let place = try skip(size)
    return try file.bytes(at: place, count: size).littleEndian(at: 0, as: Value.self)
  }

  /// Passes over bytes, which must be there; returns where they begin.
  mutating func skip(_ count: Int) throws(StorageError) -> Int {
    guard count <= file.byteCount - offset else {
      throw StorageError(
        .truncated(part: part, expectedBytes: count, foundBytes: file.byteCount - offset),
        file: file.path, offset: offset)
    }
    defer { offset += count }
    return offset
  }
}
