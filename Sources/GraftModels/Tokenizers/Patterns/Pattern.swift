/// The syntax tree of a regular expression of the kind tokenizers use.
indirect enum Pattern: Equatable {
  case empty
  /// One code point of a set.
  case scalar(ScalarSet)
  case sequence([Pattern])
  /// The first alternative that leads to a match wins.
  case alternatives([Pattern])
  case repetition(Pattern, minimum: Int, maximum: Int?, greedy: Bool)
  /// The next code point, which isn't consumed, belongs to the set; at the end of the text `orEnd` decides.
  case lookahead(ScalarSet, orEnd: Bool)

  /// Exactly this text.
  static func literal(_ text: String) -> Pattern {
    .sequence(text.unicodeScalars.map { .scalar(ScalarSet($0)) })
  }

  /// A run of code points of a set, as long as possible.
  static func run(_ set: ScalarSet) -> Pattern {
    .repetition(.scalar(set), minimum: 1, maximum: nil, greedy: true)
  }
}

/// A regular expression uses something that isn't supported; the text says what.
struct PatternError: Error, Equatable {
  var feature: String
}
