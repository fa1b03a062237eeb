internal import GraftAdapters
public import GraftCore
internal import GraftKernels
internal import GraftModels

/// Imports pretrained word vectors into a model's embedding table and writes the model whole.
///
/// A token takes the vector of the word that it is spelled like: byte for byte; else when case doesn't count; else
/// without the mark that begins a word; else, where the vectors come with those of n-grams (fastText), what the
/// n-grams of its text make. Imported rows are scaled, row by row, because the length of a word vector tells how
/// frequent the word was where it was trained, and not here: to the mean length of the table's rows, or each to that of the row
/// it replaces, whose length tells what the model has learnt. All other rows are kept; a tied head follows the table.
/// - Parameters:
///   - model: A model with `tokenizer.json`.
///   - vectors: Word vectors, a fastText model, or a table of embeddings in safetensors or HDF5 with its words or its tokenizer.
///   - output: What is written, in any form that ``convert(_:to:options:progress:)`` writes, complete or not at all.
///   - report: Where the report is written as JSON, if anywhere; it replaces another report, or any file when that is allowed.
/// - Returns: How much of the vocabulary was found.
/// - Throws: ``StorageError`` when files can't be read or written or the dimensions differ, ``ModelError`` for the tokenizer.
@discardableResult
public func warmStart(
  model: OpenedCheckpoint, vectors: OpenedCheckpoint, output path: String,
  report reportPath: String? = nil, options: WarmStartOptions = WarmStartOptions(),
  progress: Progress = .none
) throws -> WarmStartReport {
  guard options.overwrites || !Directory.isSame(path, vectors.path) else {
    throw StorageError(
      .alreadyExists, file: path,
      remedy: "the vectors stand there, and would be lost; name another target, or give --overwrite"
    )
  }
  if let reportPath {
    try WarmStartReport.checkTarget(reportPath, besides: path, overwrites: options.overwrites)
  }
  try model.checkComputable()
  let tokenizer = try Tokenizer(
    tokenizerJSON: try model.requiredFile("tokenizer.json"), file: model.path + "/tokenizer.json")
  let words = try WordTable(VectorTable(vectors), tokens: tokenizer)
  let table = try EmbeddingRows(of: model, fitting: words)
  let join = VocabularyJoin(tokenizer, words, rowCount: table.rowCount)
  let length = try table.length(for: options.scale)
  let filled = ModelWithVectors(
    model.reader, metadata: model.ownMetadata, table, replacing: join.rows, from: words, length)
  let conversion: Conversion
  do {
    conversion = try Conversion(
      of: OpenedCheckpoint(
        model, reader: filled, files: model.files, to: path, as: options.form),
      to: path, options.conversion)
  } catch let error as StorageError {
    throw error.advisingConversion(of: model.path)
  }
  try conversion.transfer(progress)
  let report = join.report(words, length, conversion.report)
  for source in [model, vectors] { try source.checkUnchanged() }
  try conversion.commit()
  if let reportPath {
    try AtomicFile.write(Array((report.json.serialized() + "\n").utf8), to: reportPath)
  }
  return report
}

extension StorageError {
  /// The error with advice for a verb that keeps every type, where a type is to be chosen.
  fileprivate func advisingConversion(of model: String) -> StorageError {
    guard let remedy, remedy.contains("--dtype") else { return self }
    return StorageError(
      reason, file: file, tensor: tensor, offset: offset,
      remedy: "convert the model first: graft convert \(model.escapedWhole) DIR --dtype f32")
  }
}

/// Which token takes which vector.
private struct VocabularyJoin {
  /// What each row of the model's table takes.
  private(set) var rows: [Int: WordTable.Source] = [:]
  private var usedRows = Set<Int>()
  private var counts: [WordTable.Rule: Int] = [:]
  private var tokenCount = 0
  private var misses: [String] = []

  private static let shownMisses = 20

  init(_ tokenizer: Tokenizer, _ words: WordTable, rowCount: Int) {
    let marker = tokenizer.wordStartMarker
    for token in tokenizer.words where Int(token.id) < rowCount {
      tokenCount += 1
      if let (source, rule) = words.source(of: token, marker: marker) {
        rows[Int(token.id)] = source
        if case .row(let row) = source { usedRows.insert(row) }
        counts[rule, default: 0] += 1
      } else if misses.count < Self.shownMisses {
        misses.append(
          (token.startsWord ? marker : "") + String(decoding: token.text, as: UTF8.self))
      }
    }
  }

  func report(
    _ words: WordTable, _ length: EmbeddingRows.Length, _ written: ConversionReport
  ) -> WarmStartReport {
    WarmStartReport(
      tokenCount: tokenCount, wordCount: words.table.wordCount, usedWordCount: usedRows.count,
      matched: WordTable.Rule.allCases.filter {
        $0 != .subwords || words.table.subwords != nil
      }.map {
        WarmStartReport.Match(rule: $0.rawValue, count: counts[$0] ?? 0)
      },
      misses: misses, scale: length.scale, rowNorm: length.common, losses: written.losses,
      notes: written.notes)
  }
}
