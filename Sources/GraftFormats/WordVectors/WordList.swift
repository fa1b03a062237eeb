/// Words as byte strings, packed into one array: a vocabulary of millions without an allocation for each.
public struct WordList: Sendable, RandomAccessCollection {
  private var bytes: [UInt8] = []
  private var ends: [Int] = []

  /// No words.
  public init() {}

  /// Packs words.
  public init(_ words: some Sequence<String>) {
    for word in words { append(word.utf8) }
  }

  /// The position of the first word.
  public var startIndex: Int { 0 }

  /// The number of words.
  public var endIndex: Int { ends.count }

  /// The bytes of a word.
  public subscript(position: Int) -> ArraySlice<UInt8> {
    bytes[(position == 0 ? 0 : ends[position - 1])..<ends[position]]
  }

  /// A word as text; bytes that aren't UTF-8 are replaced.
  public func text(at position: Int) -> String { String(decoding: self[position], as: UTF8.self) }

  /// Adds a word.
  public mutating func append(_ word: some Sequence<UInt8>) {
    bytes.append(contentsOf: word)
    ends.append(bytes.count)
  }
}
