internal import GraftCore
internal import GraftModels

/// The tokens of a table of vectors as text, by ascending id: all but the special ones.
///
/// Only the vocabulary of a `tokenizer.json` counts here, so kinds that text can't be cut with by this program are read too: Unigram
/// and WordLevel.
enum TableTokens {
  /// Reads a `tokenizer.json`.
  /// - Throws: ``ModelError`` naming what is malformed or unsupported.
  static func tokens(in json: [UInt8], file: String) throws -> [Tokenizer.Word] {
    let root = try JSONValue.parse(json, file: file)
    let special = Set(
      (root["added_tokens"]?.array ?? []).compactMap { token in
        token["special"]?.bool == true ? token["id"]?.int : nil
      })
    switch root["model"]?["type"]?.string {
    case "Unigram":
      let pieces = root["model"]?["vocab"]?.array ?? []
      return try words(
        pieces.enumerated().map { ($0, $1[0]?.string) }, marker: "▁", special, file)
    case "WordLevel":
      let entries = root["model"]?["vocab"]?.object?.members ?? []
      let tokens: [(id: Int, text: String?)] = entries.map { ($0.value.int ?? -1, $0.key) }
      return try words(tokens.sorted { $0.id < $1.id }, marker: "", special, file)
    default:
      return Array(try Tokenizer(tokenizerJSON: json, file: file).words)
    }
  }

  private static func words(
    _ tokens: [(id: Int, text: String?)], marker: String, _ special: Set<Int>, _ file: String
  ) throws -> [Tokenizer.Word] {
    try tokens.compactMap { id, text in
      guard let id = Int32(exactly: id), id >= 0, let text else {
        throw ModelError(
          .invalidValue(key: "model.vocab", expected: "tokens with ids", found: "something else"),
          file: file)
      }
      guard !special.contains(Int(id)) else { return nil }
      let startsWord = text.hasPrefix(marker)
      return Tokenizer.Word(
        id: id, text: Array(text.utf8.dropFirst(startsWord ? marker.utf8.count : 0)),
        startsWord: startsWord)
    }
  }
}
