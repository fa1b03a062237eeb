/// The ways to write word vectors down.
public enum WordVectorFormat: String, Sendable, CaseIterable {
  /// A line `V D`, then lines of a word and D numbers; fastText's `.vec` is the same.
  case word2vecText
  /// A line `V D`, then words, each followed by a space and D little-endian floats.
  case word2vecBinary
  /// Lines of a word and D numbers; words may have spaces in them, a line `V D` may come first.
  case glove
}

/// What a reader of word vectors lets pass.
public struct WordVectorOptions: Sendable {
  /// Whether words may be bytes that aren't UTF-8; some published tables have a few.
  public var allowsInvalidUTF8 = false
  /// The threads that look through a file; nil takes all processors.
  public var threadCount: Int?
  /// The numbers that are believed.
  public var limits = FormatLimits.standard

  /// Nothing passes that breaks a rule.
  public init() {}
}
