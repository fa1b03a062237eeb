import GraftCore

/// WordPiece: from the start of a word the longest token that fits, again and again; a word that can't be spelled so is
/// the unknown token.
///
/// Source: Devlin et al., arXiv 1810.04805; tokens inside a word are spelled with a prefix, usually `##`.
struct WordPieceModel: Sendable {
  let vocabulary: TokenTable
  let continuation: [UInt8]
  let unknown: Int32
  /// A word of more characters is unknown.
  let longestWord: Int
  /// Bytes of the longest token.
  private let longestToken: Int

  /// Builds the model of a `tokenizer.json`.
  init(_ file: TokenizerFile, _ reader: TokenizerReader) throws(ModelError) {
    vocabulary = file.vocabulary
    let name = file.model["unk_token"]?.string ?? "[UNK]"
    guard let id = vocabulary.id(of: Array(name.utf8).span) else {
      throw reader.invalid("model.unk_token", "a token of the vocabulary", name)
    }
    unknown = id
    continuation = Array((file.model["continuing_subword_prefix"]?.string ?? "##").utf8)
    longestWord = max(0, file.model["max_input_chars_per_word"]?.int ?? 100)
    let vocabulary = vocabulary
    longestToken = (0..<vocabulary.count).reduce(0) { max($0, vocabulary.content($1).count) }
  }

  /// Appends the ids of one word.
  func encode(_ word: Span<UInt8>, to output: inout [Int32]) {
    let first = output.count
    var characters = 0
    for index in word.indices where word[index] & 0xC0 != 0x80 { characters += 1 }
    guard characters <= longestWord else { return output.append(unknown) }
    var start = 0
    var piece: [UInt8] = []
    while start < word.count {
      var end = min(word.count, start + longestToken)
      piece.removeAll(keepingCapacity: true)
      if start > 0 { piece += continuation }
      let prefix = piece.count
      for index in start..<end { piece.append(word[index]) }
      var found: Int32?
      while end > start {
        // Only whole characters make a token.
        if end == word.count || word[end] & 0xC0 != 0x80 {
          found = vocabulary.id(of: piece.span)
          if found != nil { break }
        }
        end -= 1
        piece.removeLast()
      }
      guard let found, piece.count > prefix else {
        output.removeSubrange(first...)
        return output.append(unknown)
      }
      output.append(found)
      start = end
    }
  }
}
