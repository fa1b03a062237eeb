public import GraftCore

/// Writes words and their vectors row by row, in one of the word-vector formats; text has the shortest numbers that read
/// back the same.
///
/// What is written reads back to the same words and bits, or is refused.
public struct WordVectorWriter {
  private let output: OutputFile
  private let format: WordVectorFormat
  private let dimensions: Int
  private let count: Int
  private var buffer: [UInt8] = []
  private var offset = 0

  private static let bufferBytes = 1 << 20

  /// Begins a file of `count` rows.
  ///
  /// - Throws: ``StorageError`` for a size that the format doesn't have.
  public init(
    _ output: OutputFile, _ format: WordVectorFormat, dimensions: Int, count: Int
  ) throws(StorageError) {
    self.output = output
    self.format = format
    self.dimensions = dimensions
    self.count = count
    buffer = try Self.header(format, dimensions: dimensions, count: count, file: output.target)
  }

  /// What a file begins with.
  ///
  /// - Throws: ``StorageError`` for a size that the format doesn't have, or that nothing tells in a file without a header.
  public static func header(
    _ format: WordVectorFormat, dimensions: Int, count: Int, file: String
  ) throws(StorageError) -> [UInt8] {
    let limits = FormatLimits.standard
    let problem: String? =
      if !(1...limits.wordVectorDimensions).contains(dimensions) {
        "vectors of \(dimensions) numbers (word-vectors W-1)"
      } else if count > limits.words {
        "\(count) words (word-vectors W-7)"
      } else if format == .glove, dimensions == 1 {
        "vectors of one number (word-vectors W-4)"
      } else if format == .glove, count == 0 {
        "a table without words (word-vectors W-9)"
      } else {
        nil
      }
    guard let problem else {
      return format == .glove ? [] : Array("\(count) \(dimensions)\n".utf8)
    }
    throw unwritable(
      problem, format, file,
      remedy: format == .glove && (dimensions == 1 || count == 0) ? headerRemedy : anyTableRemedy)
  }

  /// Checks that readers recognize a whole file, of which the first bytes tell format and dimensions.
  ///
  /// - Throws: ``StorageError`` where they would take it for something else.
  public static func checkBeginning(
    of output: OutputFile, _ format: WordVectorFormat, dimensions: Int, count: Int
  ) throws(StorageError) {
    // A header and no rows are the same in text and binary.
    guard count > 0 else { return }
    var isRecognized = false
    do throws(StorageError) {
      let file = try InputFile(path: output.path)
      // Readers pass over a byte order mark, which a first word may begin with.
      let hasMark = try file.bytes(at: 0, count: min(3, file.byteCount)) == [0xEF, 0xBB, 0xBF]
      if !hasMark, try FormatSniffer.sniff(path: output.path) == .wordVectors(format) {
        let start = try WordVectorStart(file, format: nil, options: WordVectorOptions())
        isRecognized = start.dimensions == dimensions
      }
    } catch {
      // What readers refuse isn't recognized; what the system refuses is another thing.
      guard error.diagnosis.kind == .badInput else {
        var named = error
        named.file = output.target
        throw named
      }
    }
    guard isRecognized else {
      throw unwritable(
        "a table whose first rows readers would take for something else (word-vectors W-10)",
        format, output.target,
        remedy: format == .glove ? headerRemedy : anyTableRemedy)
    }
  }

  private static let headerRemedy = "word2vec has a header that tells the size: --to word2vec"
  private static let anyTableRemedy = "safetensors and HDF5 hold any table"

  private static func unwritable(
    _ what: String, _ format: WordVectorFormat, _ file: String, remedy: String
  ) -> StorageError {
    StorageError(
      .notRepresentable(what: what, inFormat: format.rawValue), file: file, remedy: remedy)
  }

  /// Whether readers find a word's end where it is, and take its bytes.
  public static func canWrite(_ word: some Collection<UInt8>, in format: WordVectorFormat) -> Bool {
    let isText = word.allSatisfy { $0 < 0x80 } || String(validating: word, as: UTF8.self) != nil
    guard isText, !word.isEmpty, word.count <= FormatLimits.standard.wordBytes else { return false }
    return switch format {
    case .word2vecBinary: !word.contains(0x20) && word.first != 0x0A
    case .word2vecText: !word.contains { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
    case .glove: !word.contains { $0 == 0x0A || $0 == 0x0D }
    }
  }

  /// Adds a word with a row of a matrix.
  ///
  /// - Precondition: The matrix is f32, [rows, dimensions], and has the row.
  /// - Throws: ``StorageError`` when the word can't be told from what follows it, a number isn't finite, or the system fails.
  public mutating func write(
    _ word: some Collection<UInt8>, row: Int, of vectors: MemorySlice
  ) throws(StorageError) {
    precondition(vectors.dtype == .f32, "rows of f32")
    precondition(vectors.shape.columns == dimensions, "rows of the file's dimensions")
    let start = row * dimensions * 4
    try Self.append(
      word, vectors.bytes.extracting(start..<start + dimensions * 4), format, to: &buffer,
      file: output.target)
    if buffer.count >= Self.bufferBytes { try flush() }
  }

  /// Adds the bytes of a word and its row to those of a file.
  ///
  /// - Parameter row: The floats.
  /// - Throws: ``StorageError`` when the word can't be told from what follows it, or a number isn't finite.
  public static func append(
    _ word: some Collection<UInt8>, _ row: RawSpan, _ format: WordVectorFormat,
    to buffer: inout [UInt8], file: String
  ) throws(StorageError) {
    func shown() -> String { String(decoding: word.prefix(80), as: UTF8.self).escapedShortened }
    guard canWrite(word, in: format) else {
      throw unwritable(
        "the word '\(shown())'", format, file,
        remedy: format == .glove || word.isEmpty
          ? "safetensors and HDF5 hold any word"
          : "GloVe holds words with spaces; safetensors and HDF5 hold any word")
    }
    let start = buffer.count
    buffer += word
    if format == .word2vecBinary { buffer.append(0x20) }
    for place in stride(from: 0, to: row.byteCount, by: 4) {
      // Safety: RawSpan checks the bounds, and every bit pattern is an integer.
      let bits = unsafe row.unsafeLoadUnaligned(fromByteOffset: place, as: UInt32.self)
      guard bits & 0x7F80_0000 != 0x7F80_0000 else {
        throw unwritable(
          "NaN or infinity, as in the vector of '\(shown())' (word-vectors W-5)", format, file,
          remedy: "safetensors and HDF5 hold any number; graft verify tells where they are")
      }
      if format == .word2vecBinary {
        for shift in [0, 8, 16, 24] as [UInt32] {
          buffer.append(UInt8(truncatingIfNeeded: bits >> shift))
        }
      } else {
        buffer.append(0x20)
        buffer.append(contentsOf: Float(bitPattern: bits).description.utf8)
      }
    }
    guard format != .word2vecBinary else { return }
    guard buffer.count - start <= FormatLimits.standard.wordVectorLineBytes else {
      throw unwritable(
        "the \(buffer.count - start) bytes of a line, as that of '\(shown())' (word-vectors W-7)",
        format, file, remedy: "binary has no lines: --to word2vec, and a target without .txt")
    }
    buffer.append(0x0A)
  }

  /// Writes what is left.
  ///
  /// - Throws: ``StorageError`` where readers would take the file for something else, or the system fails.
  public mutating func finish() throws(StorageError) {
    try flush()
    try Self.checkBeginning(of: output, format, dimensions: dimensions, count: count)
  }

  private mutating func flush() throws(StorageError) {
    try output.write(buffer, at: offset)
    offset += buffer.count
    buffer.removeAll(keepingCapacity: true)
  }
}
