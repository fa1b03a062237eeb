internal import GraftCore
internal import GraftModels

/// Pretrained vectors, found by the text they stand for.
struct WordTable {
  /// The file.
  let path: String
  /// The vectors: [words, dimensions].
  let reader: any CheckpointReader
  /// The position of the tensor.
  let tensor: Int
  /// The words of the table.
  let wordCount: Int
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
  }

  /// Opens word vectors, or a table of embeddings with its own words or a `tokenizer.json`.
  ///
  /// - Parameter marker: The mark that begins words in the model's vocabulary.
  init(_ opened: OpenedCheckpoint, marker: String) throws {
    let matrices = opened.reader.tensors.indices.filter { index in
      let info = opened.reader.tensors[index]
      return info.shape.rank == 2 && info.dtype.isComputableFloat
    }
    guard matrices.count == 1 else {
      throw StorageError(
        .unrecognized(expected: "one table of vectors, found \(matrices.count) matrices"),
        file: opened.path)
    }
    path = opened.path
    reader = opened.reader
    tensor = matrices[0]
    let rowCount = opened.reader.tensors[tensor].shape[0]
    if let vocabulary = opened.vocabulary {
      wordCount = vocabulary.count
      for (row, word) in vocabulary.enumerated() where row < rowCount {
        add(spelling: word, word: word, row: row)
      }
    } else {
      let name = "tokenizer.json"
      let tokenizer = try Tokenizer(
        tokenizerJSON: try opened.requiredFile(name), file: opened.path + "/" + name)
      wordCount = tokenizer.vocabularySize
      for word in tokenizer.words where Int(word.id) < rowCount {
        let spelling = word.startsWord ? Array(marker.utf8) + word.text : word.text
        add(spelling: spelling, word: word.startsWord ? word.text : nil, row: Int(word.id))
      }
    }
  }

  /// Of words that fold to one the first counts; tables stand in the order of frequency.
  private mutating func add(spelling: [UInt8], word: [UInt8]?, row: Int) {
    let key = TensorName(utf8: spelling)
    if spellings[key] == nil { spellings[key] = row }
    let folded = Self.folded(spelling)
    if foldedSpellings[folded] == nil { foldedSpellings[folded] = row }
    guard let word else { return }
    let name = TensorName(utf8: word)
    if words[name] == nil { words[name] = row }
    let foldedName = Self.folded(word)
    if foldedWords[foldedName] == nil { foldedWords[foldedName] = row }
  }

  /// The row of a token, and the rule that found it.
  func row(of token: Tokenizer.Word, marker: String) -> (row: Int, rule: Rule)? {
    let spelling = token.startsWord ? Array(marker.utf8) + token.text : token.text
    guard !spelling.isEmpty else { return nil }
    if let row = spellings[TensorName(utf8: spelling)] { return (row, .exact) }
    if let row = foldedSpellings[Self.folded(spelling)] { return (row, .caseFolded) }
    guard token.startsWord, !token.text.isEmpty else { return nil }
    let word = words[TensorName(utf8: token.text)] ?? foldedWords[Self.folded(token.text)]
    return word.map { ($0, .wordStart) }
  }

  private static func folded(_ text: [UInt8]) -> TensorName {
    TensorName(String(decoding: text, as: UTF8.self).lowercased())
  }
}
