public import GraftCore

/// Words and their vectors, in memory.
public struct EmbeddingTable: Sendable {
  /// The words, in the order of the rows.
  public let words: WordList
  /// The vectors: [words, dimensions].
  public let vectors: MemorySlice
  /// The format that the table came from.
  public let source: CheckpointFormat
  /// Rows of the file that were left out because their word had come before.
  public let duplicateCount: Int

  /// Joins the rows of a tensor with words from elsewhere, such as a tokenizer's tokens by id.
  ///
  /// - Parameters:
  ///   - vectors: Any dtype, [words, dimensions].
  ///   - words: One for each row.
  /// - Throws: ``StorageError`` when the tensor isn't a matrix or has other rows than there are words.
  public init(
    words: WordList, vectors: MemorySlice, source: CheckpointFormat, file: String
  ) throws(StorageError) {
    guard vectors.shape.rank == 2, vectors.shape[0] == words.count else {
      throw StorageError(
        .mismatch(
          subject: "the embedding table", expected: "[\(words.count), dimensions]",
          found: "\(vectors.shape)"),
        file: file)
    }
    self.init(words: words, vectors: vectors, source: source, duplicateCount: 0)
  }

  /// Reads a tensor as the vectors of words from elsewhere.
  /// - Throws: ``StorageError`` when the tensor can't be read or doesn't fit the words.
  public init(
    tensor: Int, of reader: any CheckpointReader, words: WordList
  ) throws(StorageError) {
    try self.init(
      words: words, vectors: reader.contents(of: tensor), source: reader.format, file: reader.path)
  }

  /// Loads a word-vector file; of rows with one word the first is kept.
  /// - Throws: ``StorageError`` with the broken rule, the line of a text and the byte.
  public init(
    path: String, format: WordVectorFormat? = nil, options: WordVectorOptions = WordVectorOptions()
  ) throws(StorageError) {
    var reader = try WordVectorReader(path: path, format: format, options: options)
    let capacity: Int
    if let declared = reader.declaredCount {
      capacity = declared
    } else {
      capacity = try Self.rowCount(reader)
    }
    let memory = try Memory(byteCount: capacity * reader.dimensions * 4)
    var words = WordList()
    var seen = Set<TensorName>(minimumCapacity: capacity)
    while try reader.next() {
      guard seen.insert(TensorName(utf8: reader.word)).inserted else { continue }
      let start = words.count * reader.dimensions * 4
      let row = reader.row
      memory.withMutableBytes { bytes in
        for (position, value) in row.enumerated() {
          bytes.storeBytes(of: value, toByteOffset: start + position * 4, as: Float.self)
        }
      }
      words.append(reader.word)
    }
    let vectors = MemorySlice(
      memory, dtype: .f32, shape: Shape(trusted: [words.count, reader.dimensions]))
    self.init(
      words: words, vectors: vectors, source: reader.format == .glove ? .glove : .word2vec,
      duplicateCount: reader.count - words.count)
  }

  private init(
    words: WordList, vectors: MemorySlice, source: CheckpointFormat, duplicateCount: Int
  ) {
    self.words = words
    self.vectors = vectors
    self.source = source
    self.duplicateCount = duplicateCount
  }

  /// The components of a vector.
  public var dimensions: Int { vectors.shape[1] }

  /// The rows of a file without a header, counted in a pass of its own so that the table is allocated once.
  private static func rowCount(_ reader: WordVectorReader) throws(StorageError) -> Int {
    let file = try InputFile(path: reader.path)
    var lines = 1
    var tile = [UInt8](repeating: 0, count: 1 << 20)
    var offset = 0
    while offset < file.byteCount {
      let count = min(tile.count, file.byteCount - offset)
      try tile.withMutableRawBytes { (bytes: inout MutableRawSpan) throws(StorageError) in
        var part = bytes._mutatingExtracting(0..<count)
        try file.read(at: offset, into: &part)
      }
      lines += tile[..<count].count { $0 == 0x0A }
      offset += count
    }
    // A line that is a row has at least a blank and a digit for each number.
    return min(lines, file.byteCount / (2 * reader.dimensions) + 1)
  }
}
