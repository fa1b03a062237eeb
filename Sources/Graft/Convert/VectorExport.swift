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
  let file = try AtomicFile(path: path)
  let columns = info.shape[1]
  var writer = WordVectorWriter(
    file.output, format, dimensions: columns, count: rows.count)
  let step = max(1, TensorTile.elementCount / max(columns, 1))
  var next = 0
  for first in stride(from: 0, to: info.shape[0], by: step) {
    let count = min(step, info.shape[0] - first)
    let values = try reader.f32Elements(
      of: table, from: first * columns, shape: [count, columns])
    while next < rows.count, rows[next].row < first + count {
      try writer.write(rows[next].word, row: rows[next].row - first, of: values)
      next += 1
    }
    progress.advance(values.byteCount)
  }
  try writer.finish()
  try file.commit()
  let written = try TensorInfo(
    name: info.name, dtype: .f32, shape: [rows.count, columns], in: path)
  return ConversionReport(
    tensors: [written], convertedCount: info.dtype == .f32 ? 0 : 1, fileNames: [],
    losses: [])
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
      isOneWord(token.text) && String(validating: token.text, as: UTF8.self) != nil
        && seen.insert(TensorName(utf8: token.text)).inserted
    }
    .map { (Int($0.id), $0.text) }
}

/// Whether every format's readers find a word's end where it is.
private func isOneWord(_ word: [UInt8]) -> Bool {
  !word.isEmpty && !word.contains { $0 == 0x20 || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
}
