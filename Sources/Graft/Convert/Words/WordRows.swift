internal import GraftCore
internal import GraftFormats
internal import GraftModels

/// A table of vectors as the word-vector formats have it: one matrix of f32, with a row for each word and no others.
///
/// Of a model the rows of tokens that begin a word are in it, under the word; of tokens with one text the first counts.
struct WordRows: CheckpointReader {
  /// The one tensor: [words, dimensions].
  let tensors: [TensorInfo]
  /// The words; those beyond the rows don't count.
  let vocabulary: any Vocabulary
  private let table: VectorTable
  /// The row of each word in the table; nil where they are the same.
  private let rows: [Int]?

  /// Finds the words of a table.
  ///
  /// - Throws: ``StorageError`` for a word that stands for two rows, or where nothing is a word.
  init(_ table: VectorTable) throws {
    let stored = table.reader.tensors[table.matrix]
    let count: Int
    switch table.labels {
    case .words(let words):
      // Files of word vectors were looked through when they were opened.
      if !(table.reader is EmbeddingCheckpoint), let (row, word) = try words.repetition(),
        row < table.count
      {
        let text = String(decoding: word.prefix(80), as: UTF8.self).escapedShortened
        throw StorageError(
          .notRepresentable(
            what: "the word '\(text)' twice", inFormat: OutputForm.wordVectors(.glove).description),
          file: table.path, tensor: stored.name,
          remedy: "row \(row) has it again; safetensors and HDF5 hold any words")
      }
      count = min(words.count, table.count)
      vocabulary = words
      rows = nil
    case .tokens(let tokens):
      let words = Self.words(of: tokens, below: table.count)
      guard !words.isEmpty else {
        throw StorageError(
          .unrecognized(expected: "words for the rows of \(stored.name)"), file: table.path)
      }
      var list = WordList()
      for word in words { list.append(word.text) }
      count = words.count
      vocabulary = list
      rows = words.map { Int($0.id) }
    }
    self.table = table
    tensors = [
      try TensorInfo(
        name: stored.name, dtype: .f32, shape: [count, table.dimensions], in: table.path)
    ]
  }

  /// The tokens that begin a word and are one, by id.
  private static func words(of tokens: [Tokenizer.Word], below count: Int) -> [Tokenizer.Word] {
    var seen = Set<TensorName>()
    return tokens.filter { $0.startsWord && Int($0.id) < count }
      .sorted { $0.id < $1.id }
      .filter { token in
        WordVectorFormat.allCases.allSatisfy { WordVectorSpelling.canWrite(token.text, in: $0) }
          && seen.insert(TensorName(utf8: token.text)).inserted
      }
  }

  // MARK: - What isn't in it

  /// The dtype of the matrix that the rows come from.
  var storedDType: DType { table.reader.tensors[table.matrix].dtype }

  /// What the table has besides words with their vectors, in words.
  var omissions: [String] {
    var omissions: [String] = []
    let spare = table.count - tensors[0].shape[0]
    if spare > 0 {
      omissions.append(
        Quantity.of(spare, "row")
          + (rows == nil ? " without a word" : " of tokens that begin no word of their own"))
    }
    if rows == nil, vocabulary.count > table.count {
      omissions.append(Quantity.of(vocabulary.count - table.count, "word") + " without a row")
    }
    if table.subwords != nil { omissions.append("the vectors of n-grams") }
    if storedDType == .f64 { omissions.append("what f64 has beyond f32") }
    return omissions + otherTensors
  }

  /// The tensors that are no part of the table: a few by name, many by number.
  private var otherTensors: [String] {
    let all = table.reader.tensors
    let layout = StaticEmbeddingLayout(all)
    let own: [Int?] = [
      table.matrix, layout?.mapping, layout?.weights, layout?.vocabulary?.bytes,
      layout?.vocabulary?.ends,
    ]
    let others = all.indices.filter {
      !own.contains($0)
        && (table.subwords == nil || all[$0].name != FastTextCheckpoint.ngramsName)
    }
    guard others.count > 3 else { return others.map { "tensor \(all[$0].name)" } }
    return [Quantity.of(others.count, "tensor") + " besides \(all[table.matrix].name)"]
  }

  // MARK: - CheckpointReader

  var format: CheckpointFormat { table.reader.format }
  var path: String { table.path }
  var metadata: [MetadataEntry] { [] }
  var inputs: [InputFile] { table.reader.inputs }

  func extent(of tensor: Int) -> FileExtent? { nil }

  /// Whole rows.
  func grain(of tensor: Int) -> Int { max(1, table.dimensions) }

  func checkStoredBytes(of tensor: Int) throws(StorageError) {
    try table.reader.checkStoredBytes(of: table.matrix)
  }

  func read(_ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan)
    throws(StorageError)
  {
    guard buffer.byteCount > 0 else { return }
    let rowByteCount = table.dimensions * 4
    let end = (byteOffset + buffer.byteCount + rowByteCount - 1) / rowByteCount
    var next = byteOffset / rowByteCount
    while next < end {
      let run = run(from: next, to: end)
      let vectors = try table.vectors(run)
      // Where the run begins in the buffer; the first may begin before it.
      let place = next * rowByteCount - byteOffset
      let part = max(0, -place)..<min(vectors.byteCount, buffer.byteCount - place)
      buffer.overwrite(at: place + part.lowerBound, with: vectors.bytes.extracting(part))
      next += run.count
    }
  }

  /// Rows of the table that stand side by side, for words from one on.
  private func run(from first: Int, to end: Int) -> Range<Int> {
    let most = max(1, TensorTile.elementCount / table.dimensions)
    let last = min(end, first + most)
    guard let rows else { return first..<last }
    var next = first + 1
    while next < last, rows[next] == rows[first] + next - first { next += 1 }
    return rows[first]..<rows[first] + next - first
  }
}
