import GraftCore

extension AddedTokens.Token {
  /// Reads the `added_tokens` of a `tokenizer.json`; a token of the vocabulary keeps its id there.
  static func list(
    _ json: JSONValue?, _ vocabulary: TokenTable, _ reader: TokenizerReader
  ) throws(ModelError) -> [AddedTokens.Token] {
    var tokens: [AddedTokens.Token] = []
    for entry in json?.array ?? [] {
      guard let content = entry["content"]?.string else {
        throw ModelError(.missingKey("added_tokens.content"), file: reader.file)
      }
      let bytes = Array(content.utf8)
      let stated = try reader.id(entry["id"], "added_tokens.id")
      let isSpecial = entry["special"]?.bool ?? false
      tokens.append(
        AddedTokens.Token(
          id: vocabulary.id(of: bytes.span) ?? stated, content: bytes, isSpecial: isSpecial,
          isNormalized: entry["normalized"]?.bool ?? !isSpecial,
          isSingleWord: entry["single_word"]?.bool ?? false,
          stripsLeft: entry["lstrip"]?.bool ?? false,
          stripsRight: entry["rstrip"]?.bool ?? false))
    }
    return tokens
  }
}
