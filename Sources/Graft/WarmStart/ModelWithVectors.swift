internal import GraftCore

/// A model whose embedding table has rows that come from elsewhere, read as one checkpoint.
struct ModelWithVectors: CheckpointReader {
  let metadata: [MetadataEntry]
  private let model: any CheckpointReader
  private let table: EmbeddingRows
  private let words: WordTable
  private let length: EmbeddingRows.Length
  /// What each row of the table takes.
  private let rows: [Int: WordTable.Source]

  init(
    _ model: any CheckpointReader, metadata: [MetadataEntry], _ table: EmbeddingRows,
    replacing rows: [Int: WordTable.Source], from words: WordTable, _ length: EmbeddingRows.Length
  ) {
    self.model = model
    self.metadata = metadata
    self.table = table
    self.rows = rows
    self.words = words
    self.length = length
  }

  var format: CheckpointFormat { model.format }
  var path: String { model.path }
  var tensors: [TensorInfo] { model.tensors }
  var inputs: [InputFile] { model.inputs }
  // A tied head takes the table's rows, so that what was one tensor stays one.
  var ties: [[Int]] { model.ties }
  var unreadable: [UnreadableTensor] { model.unreadable }

  func checkStoredBytes(of tensor: Int) throws(StorageError) {
    try model.checkStoredBytes(of: tensor)
  }

  func extent(of tensor: Int) -> FileExtent? {
    table.tensors.contains(tensor) ? nil : model.extent(of: tensor)
  }

  func grain(of tensor: Int) -> Int {
    table.tensors.contains(tensor) ? max(tensors[tensor].shape.columns, 1) : model.grain(of: tensor)
  }

  func read(
    _ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan
  ) throws(StorageError) {
    guard table.tensors.contains(tensor), buffer.byteCount > 0 else {
      return try model.read(tensor, at: byteOffset, into: &buffer)
    }
    let width = table.rowByteCount
    let first = byteOffset / width
    let end = (byteOffset + buffer.byteCount + width - 1) / width
    let made = try table.rows(first..<end, of: tensor, replacing: rows, from: words, length)
    let start = byteOffset - first * width
    buffer.overwrite(at: 0, with: made.bytes.extracting(start..<start + buffer.byteCount))
  }
}
