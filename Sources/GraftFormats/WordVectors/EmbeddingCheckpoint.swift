public import GraftCore

/// A word-vector file as a checkpoint: the tensor `embeddings`, read row by row where it is asked for.
///
/// Opening goes over the file once, on all cores, to find its rows and words; see ``WordVectorIndex``. Numbers are checked when they are
/// read. Of rows with one word the first is in the tensor.
public struct EmbeddingCheckpoint: CheckpointReader {
  /// The name of the one tensor.
  public static let tensorName: TensorName = "embeddings"

  /// The path that was opened.
  public let path: String
  /// The one tensor: f32, [words, dimensions].
  public let tensors: [TensorInfo]
  /// The words.
  public let vocabulary: any Vocabulary
  private let index: WordVectorIndex

  /// Opens a word-vector file.
  /// - Throws: ``StorageError`` with the broken rule, the line of a text and the byte.
  public init(
    path: String, format: WordVectorFormat? = nil, options: WordVectorOptions = WordVectorOptions()
  ) throws(StorageError) {
    index = try WordVectorIndex(path: path, format: format, options: options)
    do throws(ShapeError) {
      let shape = try Shape([index.rowCount, index.start.dimensions])
      tensors = [try TensorInfo(name: Self.tensorName, dtype: .f32, shape: shape)]
    } catch {
      throw StorageError(.overflow(part: "table"), file: path)
    }
    self.path = path
    vocabulary = IndexedWords(index: index)
  }

  /// Word2vec or GloVe.
  public var format: CheckpointFormat {
    index.start.format == .glove ? .glove : .word2vec
  }

  /// How the file is written.
  public var wordVectorFormat: WordVectorFormat { index.start.format }

  /// Rows of the file that were left out because their word had come before.
  public var repeatedCount: Int { index.repeatedOffsets.count }

  /// The numbers of words and of left-out rows.
  public var metadata: [MetadataEntry] {
    var entries = [MetadataEntry(key: "words", value: "\(vocabulary.count)")]
    if repeatedCount > 0 {
      entries.append(MetadataEntry(key: "repeatedWords", value: "\(repeatedCount)"))
    }
    return entries
  }

  /// Fills `buffer` with bytes of the table.
  ///
  /// - Precondition: the bytes lie inside the tensor.
  /// - Throws: ``StorageError`` for what is no finite number, with the line of a text and the byte.
  public func read(
    _ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan
  ) throws(StorageError) {
    precondition(tensor == 0, "a word-vector file has one tensor")
    guard buffer.byteCount > 0 else { return }
    let rowByteCount = index.start.dimensions * 4
    let rowCount = buffer.byteCount / rowByteCount + 2
    var cursor = try WordVectorCursor(
      index, before: byteOffset / rowByteCount,
      windowByteCount: min(1 << 18, 1 << 15 + rowCount * rowByteCount * 3))
    var whole: [UInt8] = []
    // Where the row begins in the buffer; the first may begin before it.
    var place = -(byteOffset % rowByteCount)
    while place < buffer.byteCount {
      guard try cursor.next() else {
        throw .missingRows(
          declared: index.rowCount, found: cursor.rows.count, file: path,
          offset: cursor.rows.window.offset)
      }
      if place >= 0, place + rowByteCount <= buffer.byteCount {
        _ = try cursor.rows.read(into: &buffer, at: place)
      } else {
        if whole.isEmpty { whole = [UInt8](repeating: 0, count: rowByteCount) }
        try whole.withMutableRawBytes { (bytes: inout MutableRawSpan) throws(StorageError) in
          _ = try cursor.rows.read(into: &bytes, at: 0)
        }
        for offset in max(place, 0)..<min(place + rowByteCount, buffer.byteCount) {
          buffer.storeBytes(of: whole[offset - place], toByteOffset: offset, as: UInt8.self)
        }
      }
      place += rowByteCount
    }
  }

  /// The one file.
  public var inputs: [InputFile] { [index.start.file] }

  /// The table lies nowhere in the file as bytes.
  public func extent(of tensor: Int) -> FileExtent? { nil }
}

/// The words of an indexed file.
private struct IndexedWords: Vocabulary {
  let index: WordVectorIndex

  var count: Int { index.rowCount }
  var byteCount: Int { index.wordByteCount }

  func visit(_ body: (_ row: Int, _ word: ArraySlice<UInt8>) throws -> Void) throws {
    var cursor = try WordVectorCursor(index, before: 0)
    for row in 0..<index.rowCount {
      guard try cursor.next() else { return }
      try body(row, cursor.rows.window.bytes[cursor.rows.word()])
    }
  }
}
