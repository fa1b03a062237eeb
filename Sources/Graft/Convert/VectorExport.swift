internal import GraftAdapters
internal import GraftCore
internal import GraftFormats
internal import GraftModels

/// Writes a model's embedding table, or a table of words, in one of the word-vector formats.
///
/// Of a model the rows of tokens that begin a word are written, under the word; of tokens with one text the first counts.
func exportVectors(
  _ source: OpenedCheckpoint, _ plan: ConversionSource, to path: String,
  _ format: WordVectorFormat, _ progress: Progress
) throws -> ConversionReport {
  let reader = plan.reader
  let table = try embeddingTable(of: plan)
  let info = reader.tensors[table]
  let rows = try labels(of: source, plan, rowCount: info.shape[0], format)
  guard !rows.isEmpty else {
    throw StorageError(
      .unrecognized(expected: "words for the rows of \(info.name)"), file: source.path)
  }
  let file = try AtomicFile(replacing: path)
  let columns = info.shape[1]
  var text = VectorText(file.output, format, columns: columns, count: rows.count)
  let step = max(1, TensorTile.elementCount / max(columns, 1))
  var next = 0
  for first in stride(from: 0, to: info.shape[0], by: step) {
    let count = min(step, info.shape[0] - first)
    let values = try reader.f32Elements(
      of: table, from: first * columns, shape: [count, columns])
    while next < rows.count, rows[next].row < first + count {
      try text.write(rows[next].word, values, row: rows[next].row - first)
      next += 1
    }
    progress.advance(values.byteCount)
  }
  try text.finish()
  try file.commit()
  let written = try TensorInfo(
    name: info.name, dtype: .f32, shape: [rows.count, columns], in: path)
  return ConversionReport(
    tensors: [written], convertedCount: info.dtype == .f32 ? 0 : 1, fileNames: [])
}

/// The matrix whose rows are tokens.
private func embeddingTable(of plan: ConversionSource) throws(StorageError) -> Int {
  let tensors = plan.reader.tensors
  let matrices = tensors.indices.filter {
    tensors[$0].shape.rank == 2 && tensors[$0].dtype.isComputableFloat
  }
  let named = matrices.first { EmbeddingRows.names.contains(tensors[$0].name) }
  guard let table = named ?? (matrices.count == 1 ? matrices[0] : nil) else {
    throw StorageError(
      .unrecognized(expected: "an embedding table such as model.embed_tokens.weight"),
      file: plan.reader.path)
  }
  return table
}

/// The rows that have a word, in order.
private func labels(
  of source: OpenedCheckpoint, _ plan: ConversionSource, rowCount: Int, _ format: WordVectorFormat
) throws -> [(row: Int, word: [UInt8])] {
  if let vocabulary = plan.vocabulary {
    return vocabulary.prefix(rowCount).enumerated().map { ($0, $1) }
  }
  guard let file = plan.files.first(where: { $0.name == "tokenizer.json" }) else {
    throw StorageError(
      .notFound, file: source.path + "/tokenizer.json",
      remedy:
        "word vectors need the words: convert a model with its tokenizer, or a table with its words"
    )
  }
  let tokenizer = try Tokenizer(
    tokenizerJSON: try file.contents(), file: source.path + "/tokenizer.json")
  var seen = Set<TensorName>()
  return tokenizer.words.filter { $0.startsWord && Int($0.id) < rowCount }
    .sorted { $0.id < $1.id }
    .filter { token in
      VectorText.canHold(token.text) && String(validating: token.text, as: UTF8.self) != nil
        && seen.insert(TensorName(utf8: token.text)).inserted
    }
    .map { (Int($0.id), $0.text) }
}

/// Lines of words and numbers, or their binary form, row by row.
private struct VectorText {
  private let output: OutputFile
  private let format: WordVectorFormat
  private let columns: Int
  private var buffer: [UInt8] = []
  private var offset = 0

  init(_ output: OutputFile, _ format: WordVectorFormat, columns: Int, count: Int) {
    self.output = output
    self.format = format
    self.columns = columns
    if format != .glove { buffer += Array("\(count) \(columns)\n".utf8) }
  }

  /// Whether every format's readers find the word's end where it is.
  static func canHold(_ word: [UInt8]) -> Bool {
    !word.isEmpty && !word.contains { $0 == 0x20 || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
  }

  /// Adds a row of f32 values.
  mutating func write(_ word: [UInt8], _ values: MemorySlice, row: Int) throws(StorageError) {
    guard Self.canHold(word) else {
      let text = String(decoding: word, as: UTF8.self).escapedForTerminal
      throw StorageError(
        .notRepresentable(what: "the word '\(text)'", inFormat: format.rawValue),
        file: output.path)
    }
    buffer += word
    if format == .word2vecBinary { buffer.append(0x20) }
    let bytes = values.bytes
    for column in 0..<columns {
      // Safety: RawSpan checks the bounds, and every bit pattern is an integer.
      let bits = unsafe bytes.unsafeLoadUnaligned(
        fromByteOffset: (row * columns + column) * 4, as: UInt32.self)
      if format == .word2vecBinary {
        for shift in [0, 8, 16, 24] as [UInt32] {
          buffer.append(UInt8(truncatingIfNeeded: bits >> shift))
        }
      } else {
        buffer.append(0x20)
        buffer += Array(Float(bitPattern: bits).description.utf8)
      }
    }
    if format != .word2vecBinary { buffer.append(0x0A) }
    if buffer.count >= 1 << 20 { try flush() }
  }

  /// Writes what is left.
  mutating func finish() throws(StorageError) { try flush() }

  private mutating func flush() throws(StorageError) {
    try output.write(buffer, at: offset)
    offset += buffer.count
    buffer.removeAll(keepingCapacity: true)
  }
}
