internal import GraftCore

/// Reads everything that a file of vectors has, as a target for programs that look for input that breaks a parser.
///
/// Errors are a good outcome, traps and endless loops aren't.
public enum TableExercise {
  /// Word vectors: in the format that the file seems to have, or in a given one, all at once and row by row.
  public static func wordVectors(path: String, format: WordVectorFormat? = nil) throws {
    let table = try EmbeddingCheckpoint(path: path, format: format)
    try exercise(table, table.vocabulary)
    var reader = try WordVectorReader(path: path, format: format)
    while try reader.next() {}
  }

  /// A fastText model, its words, and a word that it may not know.
  public static func fastText(path: String) throws {
    let model = try FastTextCheckpoint(path: path)
    try exercise(model, model.vocabulary)
    _ = try model.subwordVectors?.vector(of: "unwonted".utf8)
  }

  /// A table with its words in safetensors.
  public static func staticEmbeddings(path: String) throws {
    let reader = try SafetensorsReader(path: path)
    guard let layout = StaticEmbeddingLayout(reader.tensors), let words = layout.vocabulary else {
      return
    }
    try exercise(reader, TensorVocabulary(reader, bytes: words.bytes, ends: words.ends))
    _ = try SubwordVectors(convertedIn: reader)?.vector(of: "unwonted".utf8)
  }

  private static func exercise(
    _ reader: any CheckpointReader, _ vocabulary: any Vocabulary
  ) throws {
    var byteCount = 0
    try vocabulary.visit { byteCount += $1.count }
    precondition(byteCount <= vocabulary.byteCount, "no more bytes of words than there are")
    for tensor in reader.tensors.indices { _ = try reader.contents(of: tensor) }
  }
}
