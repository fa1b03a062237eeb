internal import GraftCore
internal import GraftFormats
internal import GraftModels

/// Which of a table's words each token of a model finds, by the text that they stand for.
///
/// The table's words are looked at once, in order, and only what some token looks for is kept: memory grows with the model's
/// vocabulary, not with the table's.
struct WordTable {
  /// The table.
  let table: VectorTable
  private var spellings: [TensorName: Int] = [:]
  private var foldedSpellings: [TensorName: Int] = [:]
  private var words: [TensorName: Int] = [:]
  private var foldedWords: [TensorName: Int] = [:]

  /// The rules by which a token finds its vector, the strongest first.
  enum Rule: String, CaseIterable, Sendable {
    /// The token is spelled like a word of the table, byte for byte.
    case exact
    /// It is when upper and lower case count as the same.
    case caseFolded
    /// It is, in the same order of the two, without the mark that begins a word.
    case wordStart
    /// The table has vectors of n-grams, of which the token's text has some.
    case subwords
  }

  /// What stands for a word that hasn't been found.
  private static let missing = -1

  /// Looks for the tokens of a model, which begin words with a marker, in a table.
  init(_ table: VectorTable, tokens: Tokenizer) throws {
    self.table = table
    let marker = Array(tokens.wordStartMarker.utf8)
    for token in tokens.words {
      let spelling = token.startsWord ? marker + token.text : token.text
      guard !spelling.isEmpty else { continue }
      spellings[TensorName(utf8: spelling)] = Self.missing
      foldedSpellings[Self.folded(spelling)] = Self.missing
      guard token.startsWord, !token.text.isEmpty else { continue }
      words[TensorName(utf8: token.text)] = Self.missing
      foldedWords[Self.folded(token.text)] = Self.missing
    }
    switch table.labels {
    case .words(let vocabulary):
      try vocabulary.visit { row, word in
        guard row < table.count else { return }
        let name = TensorName(utf8: word)
        let folded = Self.folded(word)
        Self.note(row, name, in: &spellings)
        Self.note(row, folded, in: &foldedSpellings)
        Self.note(row, name, in: &words)
        Self.note(row, folded, in: &foldedWords)
      }
    case .tokens(let words):
      for word in words where Int(word.id) < table.count {
        let row = Int(word.id)
        let spelling = word.startsWord ? marker + word.text : word.text
        Self.note(row, TensorName(utf8: spelling), in: &spellings)
        Self.note(row, Self.folded(spelling), in: &foldedSpellings)
        guard word.startsWord else { continue }
        Self.note(row, TensorName(utf8: word.text), in: &self.words)
        Self.note(row, Self.folded(word.text), in: &foldedWords)
      }
    }
  }

  /// Of words that fold to one the first counts; tables stand in the order of frequency.
  private static func note(_ row: Int, _ name: TensorName, in rows: inout [TensorName: Int]) {
    guard let place = rows.index(forKey: name), rows.values[place] == missing else { return }
    rows.values[place] = row
  }

  /// The vector that a token found.
  enum Source {
    /// A vector of the table.
    case row(Int)
    /// What the n-grams of a text make.
    case subwords(of: [UInt8])
  }

  /// What a token finds, and the rule that found it.
  func source(of token: Tokenizer.Word, marker: String) -> (source: Source, rule: Rule)? {
    let spelling = token.startsWord ? Array(marker.utf8) + token.text : token.text
    guard !spelling.isEmpty else { return nil }
    if let row = found(TensorName(utf8: spelling), in: spellings) { return (.row(row), .exact) }
    if let row = found(Self.folded(spelling), in: foldedSpellings) {
      return (.row(row), .caseFolded)
    }
    if token.startsWord, !token.text.isEmpty,
      let row = found(TensorName(utf8: token.text), in: words)
        ?? found(Self.folded(token.text), in: foldedWords)
    {
      return (.row(row), .wordStart)
    }
    // Part of a character has n-grams that no word has.
    guard let subwords = table.subwords, String(validating: token.text, as: UTF8.self) != nil,
      !token.text.isEmpty, !subwords.subwords.rows(of: token.text).isEmpty
    else { return nil }
    return (.subwords(of: token.text), .subwords)
  }

  private func found(_ name: TensorName, in rows: [TensorName: Int]) -> Int? {
    rows[name].flatMap { $0 == Self.missing ? nil : $0 }
  }

  /// The vector of a source: [1, dimensions].
  func vector(of source: Source) throws(StorageError) -> MemorySlice {
    switch source {
    case .row(let row): try table.vector(row)
    case .subwords(let text):
      try MemorySlice(
        copying: table.subwords?.vector(of: text)
          ?? [Float](repeating: 0, count: table.dimensions),
        [1, table.dimensions])
    }
  }

  private static func folded(_ text: some Collection<UInt8>) -> TensorName {
    TensorName(String(decoding: text, as: UTF8.self).lowercased())
  }
}
