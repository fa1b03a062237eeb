public import GraftCore

/// Writes words and their vectors row by row, in one of the word-vector formats; text has the shortest numbers that read
/// back the same.
public struct WordVectorWriter {
  private let output: OutputFile
  private let format: WordVectorFormat
  private let dimensions: Int
  private var buffer: [UInt8] = []
  private var offset = 0

  private static let bufferBytes = 1 << 20

  /// Begins a file of `count` rows.
  public init(_ output: OutputFile, _ format: WordVectorFormat, dimensions: Int, count: Int) {
    self.output = output
    self.format = format
    self.dimensions = dimensions
    buffer = Self.header(format, dimensions: dimensions, count: count)
  }

  /// What a file begins with.
  public static func header(_ format: WordVectorFormat, dimensions: Int, count: Int) -> [UInt8] {
    format == .glove ? [] : Array("\(count) \(dimensions)\n".utf8)
  }

  /// Whether readers find a word's end where it is, and take its bytes.
  public static func canWrite(_ word: some Collection<UInt8>, in format: WordVectorFormat) -> Bool {
    let isText = word.allSatisfy { $0 < 0x80 } || String(validating: word, as: UTF8.self) != nil
    guard isText, !word.isEmpty else { return false }
    return switch format {
    case .word2vecBinary: !word.contains(0x20) && word.first != 0x0A
    case .word2vecText: !word.contains { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
    case .glove: !word.contains { $0 == 0x0A || $0 == 0x0D }
    }
  }

  /// Adds a word with a row of a matrix.
  ///
  /// - Precondition: The matrix is f32, [rows, dimensions], and has the row.
  /// - Throws: ``StorageError`` when the word can't be told from what follows it, or the system fails.
  public mutating func write(
    _ word: some Collection<UInt8>, row: Int, of vectors: MemorySlice
  ) throws(StorageError) {
    precondition(vectors.shape.columns == dimensions, "rows of the file's dimensions")
    try Self.append(word, row: row, of: vectors, format, to: &buffer, file: output.target)
    if buffer.count >= Self.bufferBytes { try flush() }
  }

  /// Adds the bytes of a word and its row to those of a file.
  ///
  /// - Precondition: The matrix is f32, [rows, dimensions], and has the row.
  /// - Throws: ``StorageError`` when the word can't be told from what follows it.
  public static func append(
    _ word: some Collection<UInt8>, row: Int, of vectors: MemorySlice, _ format: WordVectorFormat,
    to buffer: inout [UInt8], file: String
  ) throws(StorageError) {
    precondition(vectors.dtype == .f32, "rows of f32")
    guard canWrite(word, in: format) else {
      let text = String(decoding: word, as: UTF8.self).escapedForTerminal
      throw StorageError(
        .notRepresentable(what: "the word '\(text)'", inFormat: format.rawValue), file: file,
        remedy: format == .glove
          ? "safetensors and HDF5 hold any word"
          : "GloVe holds words with spaces; safetensors and HDF5 hold any word")
    }
    buffer += word
    if format == .word2vecBinary { buffer.append(0x20) }
    let bytes = vectors.bytes
    let dimensions = vectors.shape.columns
    for column in 0..<dimensions {
      // Safety: RawSpan checks the bounds, and every bit pattern is an integer.
      let bits = unsafe bytes.unsafeLoadUnaligned(
        fromByteOffset: (row * dimensions + column) * 4, as: UInt32.self)
      if format == .word2vecBinary {
        for shift in [0, 8, 16, 24] as [UInt32] {
          buffer.append(UInt8(truncatingIfNeeded: bits >> shift))
        }
      } else {
        buffer.append(0x20)
        buffer.append(contentsOf: Float(bitPattern: bits).description.utf8)
      }
    }
    if format != .word2vecBinary { buffer.append(0x0A) }
  }

  /// Writes what is left.
  public mutating func finish() throws(StorageError) { try flush() }

  private mutating func flush() throws(StorageError) {
    try output.write(buffer, at: offset)
    offset += buffer.count
    buffer.removeAll(keepingCapacity: true)
  }
}
