internal import GraftCore

/// Walks over the rows of an indexed file that count, from any row on.
struct WordVectorCursor {
  private(set) var rows: WordVectorRows
  private let index: WordVectorIndex
  private var nextRepeated: Int

  /// Stands before a row.
  ///
  /// - Parameter windowByteCount: What is read at once.
  init(
    _ index: WordVectorIndex, before row: Int, windowByteCount: Int = 1 << 18
  ) throws(StorageError) {
    let start = index.start
    let block =
      index.block(of: row)
      ?? WordVectorIndex.Block(
        offset: start.firstRow, row: 0, fileRow: 0, line: start.firstLine, repeated: 0)
    self.index = index
    nextRepeated = block.repeated
    rows = WordVectorRows(
      start, at: block.offset, line: block.line, count: block.fileRow, options: index.options,
      windowByteCount: windowByteCount)
    for _ in block.row..<max(row, block.row) { _ = try next() }
  }

  /// Goes to the next row that counts; false at the end of the file.
  mutating func next() throws(StorageError) -> Bool {
    while try rows.next() {
      guard nextRepeated < index.repeatedOffsets.count,
        index.repeatedOffsets[nextRepeated] == rows.offset
      else { return true }
      nextRepeated += 1
    }
    return false
  }
}
