public import GraftCore

/// A word-vector file as a checkpoint: the tensor `embeddings`, and the words as the metadata entry `vocabulary`.
public struct EmbeddingCheckpoint: CheckpointReader {
  /// The name of the one tensor.
  public static let tensorName: TensorName = "embeddings"
  /// The key of the words: a JSON array of strings in the order of the rows.
  public static let vocabularyKey = "vocabulary"

  /// The path that was opened.
  public let path: String
  /// The words and vectors.
  public let table: EmbeddingTable
  /// The one tensor.
  public let tensors: [TensorInfo]

  /// Loads a word-vector file.
  /// - Throws: ``StorageError`` with the broken rule, the line of a text and the byte.
  public init(
    path: String, format: WordVectorFormat? = nil, options: WordVectorOptions = WordVectorOptions()
  ) throws(StorageError) {
    let table = try EmbeddingTable(path: path, format: format, options: options)
    do throws(ShapeError) {
      tensors = [
        try TensorInfo(
          name: Self.tensorName, dtype: table.vectors.dtype, shape: table.vectors.shape)
      ]
    } catch {
      throw StorageError(.overflow(part: "table"), file: path)
    }
    self.path = path
    self.table = table
  }

  /// Word2vec or GloVe.
  public var format: CheckpointFormat { table.source }

  /// The words.
  public var metadata: [MetadataEntry] {
    var text = "["
    for position in table.words.indices {
      if position > 0 { text += "," }
      JSONValue.quote(table.words.text(at: position), to: &text)
    }
    return [MetadataEntry(key: Self.vocabularyKey, value: text + "]")]
  }

  /// Fills `buffer` with bytes of the table.
  ///
  /// - Precondition: the bytes lie inside the tensor.
  public func read(
    _ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan
  ) throws(StorageError) {
    precondition(tensor == 0, "a word-vector file has one tensor")
    let bytes = table.vectors.bytes.extracting(byteOffset..<byteOffset + buffer.byteCount)
    for offset in bytes.byteOffsets {
      buffer.storeBytes(
        of: unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self), toByteOffset: offset,
        as: UInt8.self)
    }
  }

  /// The table lies nowhere in the file as bytes.
  public func extent(of tensor: Int) -> FileExtent? { nil }
}
