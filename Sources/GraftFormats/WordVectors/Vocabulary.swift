/// The words of a table of vectors in the order of its rows: byte strings, of which hundreds of millions needn't fit into memory.
public protocol Vocabulary: Sendable {
  /// The number of words.
  var count: Int { get }
  /// The bytes of all words together.
  var byteCount: Int { get }
  /// Hands out the words, one after the other.
  ///
  /// - Throws: ``StorageError`` when the file can't be read, and what `body` throws.
  func visit(_ body: (_ row: Int, _ word: ArraySlice<UInt8>) throws -> Void) throws
}

extension WordList: Vocabulary {
  /// The bytes of all words together.
  public var byteCount: Int { isEmpty ? 0 : self[endIndex - 1].endIndex }

  /// Hands out the words, one after the other.
  public func visit(_ body: (_ row: Int, _ word: ArraySlice<UInt8>) throws -> Void) throws {
    for (row, word) in self.enumerated() { try body(row, word) }
  }
}

extension Vocabulary {
  /// The first words, as many as are asked for.
  public func first(_ count: Int) throws -> [[UInt8]] {
    var words: [[UInt8]] = []
    do {
      try visit { _, word in
        guard words.count < count else { throw EnoughWords() }
        words.append(Array(word))
      }
    } catch is EnoughWords {}
    return words
  }
}

/// Ends a walk over words.
private struct EnoughWords: Error {}
