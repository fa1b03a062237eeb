internal import GraftAdapters
internal import GraftCore
internal import GraftFormats
internal import GraftModels
internal import Synchronization

/// Writes a model's embedding table, or a table of words, in one of the word-vector formats.
///
/// Of a model the rows of tokens that begin a word are written, under the word; of tokens with one text the first counts. Words come
/// one after the other, and their rows by the hundred: nothing is in memory whole.
func exportVectors(
  _ source: OpenedCheckpoint, _ plan: ConversionSource, to path: String,
  _ format: WordVectorFormat, threadCount: Int, _ progress: Progress
) throws -> ConversionReport {
  let table = try VectorTable(source, reader: plan.reader, files: plan.files)
  let file = try AtomicFile(path: path)
  var export = VectorExport(
    table, file.output, format: format, threadCount: threadCount, progress: progress)
  switch table.labels {
  case .words(let vocabulary):
    let count = min(vocabulary.count, table.count)
    guard count > 0 || format != .glove else {
      throw StorageError(
        .notRepresentable(what: "a table without words", inFormat: "GloVe's form"), file: path,
        remedy: "it would be an empty file: choose another form, for example --to word2vec")
    }
    export.begin(count: count)
    try vocabulary.visit { row, word in
      if row < table.count { try export.add(row, Array(word)) }
    }
  case .tokens(let tokens):
    let words = words(of: tokens, below: table.count)
    guard !words.isEmpty else {
      throw StorageError(
        .unrecognized(expected: "words for the rows of \(table.reader.tensors[table.matrix].name)"),
        file: source.path)
    }
    export.begin(count: words.count)
    for word in words { try export.add(Int(word.id), word.text) }
  }
  try export.finish()
  try source.checkUnchanged()
  try file.commit()
  let ngrams = table.subwords == nil ? [] : ["the vectors of n-grams"]
  let losses = plan.omissions + ngrams + plan.notes
  let stored = table.reader.tensors[table.matrix]
  let written = try TensorInfo(
    name: stored.name, dtype: .f32, shape: [export.count, table.dimensions], in: path)
  return ConversionReport(
    tensors: [written], convertedCount: stored.dtype == .f32 ? 0 : 1, fileNames: [],
    losses: losses.map { ConversionLoss($0) })
}

/// The tokens that begin a word and are one, by id.
private func words(of tokens: [Tokenizer.Word], below count: Int) -> [Tokenizer.Word] {
  var seen = Set<TensorName>()
  return tokens.filter { $0.startsWord && Int($0.id) < count }
    .sorted { $0.id < $1.id }
    .filter { token in
      isOneWord(token.text) && String(validating: token.text, as: UTF8.self) != nil
        && seen.insert(TensorName(utf8: token.text)).inserted
    }
}

/// Whether every format's readers find a word's end where it is.
private func isOneWord(_ word: [UInt8]) -> Bool {
  !word.isEmpty && !word.contains { $0 == 0x20 || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
}

/// A file of word vectors being written: some hundred rows at a time are read and spelled on all threads.
private struct VectorExport {
  /// The rows so far.
  private(set) var count = 0
  private let table: VectorTable
  private let output: OutputFile
  private let format: WordVectorFormat
  private let threadCount: Int
  private let progress: Progress
  private let rowsInPiece: Int
  private var rows: [(row: Int, word: [UInt8])] = []
  private var offset = 0

  init(
    _ table: VectorTable, _ output: OutputFile, format: WordVectorFormat, threadCount: Int,
    progress: Progress
  ) {
    self.table = table
    self.output = output
    self.format = format
    self.threadCount = threadCount
    self.progress = progress
    rowsInPiece = max(1, TensorTile.elementCount / max(table.dimensions, 1))
  }

  mutating func begin(count: Int) {
    header = WordVectorWriter.header(format, dimensions: table.dimensions, count: count)
  }

  private var header: [UInt8] = []

  mutating func add(_ row: Int, _ word: [UInt8]) throws {
    rows.append((row, word))
    if rows.count == rowsInPiece * threadCount { try flush() }
  }

  mutating func finish() throws {
    try flush()
    // A table without rows has its header all the same.
    try write([])
  }

  private mutating func flush() throws {
    let pieces = stride(from: 0, to: rows.count, by: rowsInPiece).map {
      rows[$0..<min($0 + rowsInPiece, rows.count)]
    }
    let texts = Mutex([[UInt8]](repeating: [], count: pieces.count))
    let (table, format, target) = (table, format, output.target)
    try shareOut(pieces.count, threadCount: threadCount, worker: {}) { piece, _ in
      let text = try Self.text(of: pieces[piece], table, format, target)
      texts.withLock { $0[piece] = text }
    }
    for (piece, text) in zip(pieces, texts.withLock({ $0 })) {
      try write(text)
      progress.advance(piece.count * table.dimensions * 4)
    }
    count += rows.count
    rows.removeAll(keepingCapacity: true)
  }

  private mutating func write(_ text: [UInt8]) throws(StorageError) {
    for part in [header, text] where !part.isEmpty {
      try output.write(part, at: offset)
      offset += part.count
    }
    header = []
  }

  /// Rows as they are written; those that stand side by side in the table are read at once.
  private static func text(
    of rows: ArraySlice<(row: Int, word: [UInt8])>, _ table: VectorTable,
    _ format: WordVectorFormat, _ target: String
  ) throws(StorageError) -> [UInt8] {
    var text: [UInt8] = []
    var next = rows.startIndex
    while next < rows.endIndex {
      let first = rows[next].row
      var end = next + 1
      while end < rows.endIndex, rows[end].row == first + end - next { end += 1 }
      let vectors = try table.vectors(first..<first + end - next)
      for place in next..<end {
        try WordVectorWriter.append(
          rows[place].word, row: place - next, of: vectors, format, to: &text, file: target)
      }
      next = end
    }
    return text
  }
}
