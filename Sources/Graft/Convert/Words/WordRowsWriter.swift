internal import GraftCore
internal import GraftFormats
internal import Synchronization

/// A file of word vectors being written: tiles of whole rows are spelled by the threads that bring them, and written in order.
final class WordRowsWriter: CheckpointWriter {
  let tensors: [TensorInfo]
  private let output: OutputFile
  private let spelling: WordVectorSpelling
  private let words: SpilledVocabulary
  private let count: Int
  private let dimensions: Int
  private let state: Mutex<State>

  private struct State {
    /// The bytes so far.
    var offset: Int
    /// The rows so far.
    var rowCount = 0
    /// Rows that came before others that stand above them, by the first.
    var waiting: [Int: (count: Int, text: [UInt8])] = [:]
  }

  /// Begins a file.
  ///
  /// - Throws: ``StorageError`` for a size that the format doesn't have.
  init(
    _ table: TensorInfo, words: SpilledVocabulary, _ format: WordVectorFormat,
    to output: OutputFile
  ) throws(StorageError) {
    (count, dimensions) = (table.shape[0], table.shape[1])
    spelling = try WordVectorSpelling(format, dimensions: dimensions, count: count, of: output)
    let header = spelling.header
    try output.write(header, at: 0)
    state = Mutex(State(offset: header.count))
    tensors = [table]
    self.output = output
    self.words = words
  }

  /// Spells rows.
  ///
  /// - Precondition: the bytes are whole rows.
  func write(_ bytes: RawSpan, of tensor: Int, at byteOffset: Int) throws(StorageError) {
    let rowByteCount = dimensions * 4
    precondition(
      byteOffset % rowByteCount == 0 && bytes.byteCount % rowByteCount == 0, "whole rows")
    let first = byteOffset / rowByteCount
    let words = try words.words(first..<first + bytes.byteCount / rowByteCount)
    var text: [UInt8] = []
    for (row, word) in words.enumerated() {
      try spelling.append(
        word, bytes.extracting(row * rowByteCount..<(row + 1) * rowByteCount), to: &text)
    }
    try state.withLock { state throws(StorageError) in
      state.waiting[first] = (count: words.count, text: text)
      while let next = state.waiting.removeValue(forKey: state.rowCount) {
        try output.write(next.text, at: state.offset)
        state.offset += next.text.count
        state.rowCount += next.count
      }
    }
  }

  func copy(_ extent: FileExtent, to tensor: Int) throws(StorageError) {
    preconditionFailure("tables of words lie nowhere as their rows are spelled")
  }

  /// Checks that all rows came, and that readers recognize the file.
  func finish() throws(StorageError) {
    let rowCount = state.withLock { $0.rowCount }
    guard rowCount == count else {
      throw StorageError(
        .mismatch(
          subject: "the data given to the writer", expected: "\(count) rows", found: "\(rowCount)"),
        file: output.target)
    }
    try spelling.checkBeginning()
  }
}
