extension Tokenizer {
  /// A token as the text it stands for.
  public struct Word: Sendable, Equatable {
    /// The token.
    public var id: Int32
    /// The bytes of the text, without the space before a word.
    ///
    /// Part of a character if the token is.
    public var text: [UInt8]
    /// Whether the token begins a word: its spelling begins with the word-start marker.
    public var startsWord: Bool

    /// Makes a word.
    public init(id: Int32, text: [UInt8], startsWord: Bool) {
      self.id = id
      self.text = text
      self.startsWord = startsWord
    }
  }

  /// All tokens but the special ones, as text, by ascending id.
  public var words: some Sequence<Word> {
    (0..<Int32(vocabularySize)).lazy.compactMap { self.word($0) }
  }

  /// A token as text; nil for special tokens and ids without a token.
  public func word(_ id: Int32) -> Word? {
    guard let spelling = token(id), !isSpecial(id) else { return nil }
    if let continuation {
      // Without a mark, tokens begin a word; what goes on with one is marked.
      let startsWord = !spelling.starts(with: continuation)
      let text = startsWord ? spelling : Array(spelling.dropFirst(continuation.count))
      return Word(id: id, text: text, startsWord: startsWord)
    }
    let startsWord = spelling.starts(with: wordStartMarker.utf8)
    let rest = startsWord ? Array(spelling.dropFirst(wordStartMarker.utf8.count)) : spelling
    return Word(id: id, text: decoder?.bytes(of: rest) ?? rest, startsWord: startsWord)
  }
}
