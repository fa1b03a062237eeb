import GraftCore

/// The models that turn a word into ids.
enum TokenizerModel: Sendable {
  case bytePair(BytePairModel)
  case wordPiece(WordPieceModel)

  /// Builds the model of a `tokenizer.json` by its `type`.
  init(
    _ file: TokenizerFile, isByteLevel: Bool, _ reader: TokenizerReader
  ) throws(ModelError) {
    self =
      file.model["type"]?.string == "WordPiece"
      ? .wordPiece(try WordPieceModel(file, reader))
      : .bytePair(try BytePairModel(file, isByteLevel: isByteLevel, reader))
  }
}
