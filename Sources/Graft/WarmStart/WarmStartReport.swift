public import GraftCore

/// How much of a vocabulary found a pretrained vector.
public struct WarmStartReport: Sendable {
  /// The tokens that stand for text: all but the special ones.
  public let tokenCount: Int
  /// The words of the table.
  public let wordCount: Int
  /// The rows of the table that some token took.
  public let usedWordCount: Int
  /// The tokens that were found by each rule.
  public let matched: [Match]
  /// The first tokens, by id, that found nothing.
  public let misses: [String]
  /// How long imported rows were made.
  public let scale: WarmStartOptions.Scale
  /// The mean length of the model's rows, where imported rows got it.
  public let rowNorm: Double?
  /// What the form of the result has no place for, and was left out.
  public let losses: [ConversionLoss]
  /// What was left out in any case, as of a conversion.
  public let notes: [ConversionLoss]

  /// A rule and its tokens.
  public struct Match: Sendable, Equatable {
    /// `exact`, `caseFolded`, `wordStart` or `subwords`.
    public let rule: String
    /// The tokens that the rule found a vector for.
    public let count: Int
  }

  /// The tokens that were found.
  public var matchedCount: Int { matched.reduce(0) { $0 + $1.count } }
  /// The share of the tokens that was found.
  public var coverage: Double { Double(matchedCount) / Double(max(tokenCount, 1)) }

  /// The report as JSON.
  public var json: JSONValue {
    [
      "tokenCount": JSONValue(tokenCount),
      "wordCount": JSONValue(wordCount),
      "usedWordCount": JSONValue(usedWordCount),
      "matchedCount": JSONValue(matchedCount),
      "matched": .object(
        JSONObject(members: matched.map { (key: $0.rule, value: JSONValue($0.count)) })),
      "coverage": JSONValue(coverage),
      "scale": .string(scale.rawValue),
      "rowNorm": rowNorm.map { JSONValue($0) } ?? .null,
      "misses": .array(misses.map { .string($0) }),
      "losses": .array(losses.map { .string($0.what) }),
      "notes": .array(notes.map { .string($0.what) }),
    ]
  }
}

extension WarmStartReport {
  private static let maximumByteCount = 1 << 20

  /// Checks that a report can be written to a path beside a new model.
  ///
  /// - Throws: ``StorageError``.
  static func checkTarget(
    _ path: String, besides model: String, overwrites: Bool
  ) throws(StorageError) {
    guard !Directory.isSame(path, model) else {
      throw StorageError(
        .alreadyExists, file: path, remedy: "the new model goes there; name another file")
    }
    try OutputTarget(path, overwrites: overwrites).checkReport { (file) throws(StorageError) in
      guard file.byteCount <= maximumByteCount else { return false }
      let bytes = try file.bytes(at: 0, count: file.byteCount)
      let json = try? JSONValue.parse(bytes, file: path)
      return json?["matchedCount"] != nil && json?["coverage"] != nil
    }
  }
}

extension WarmStartReport: CustomStringConvertible {
  /// The report in a few lines.
  public var description: String {
    let percent = (coverage * 1000).rounded() / 10
    let rules = matched.map { "\($0.rule) \($0.count)" }.joined(separator: ", ")
    let lengths =
      switch scale {
      case .mean: "rows scaled to length \(rowNorm ?? 0)"
      case .row: "rows as long as those they replace"
      case .none: "rows as long as the vectors"
      }
    return """
      \(matchedCount) of \(tokenCount) tokens found a vector (\(percent) %): \(rules)
      \(usedWordCount) of \(wordCount) words used, \(lengths)
      """
        + (misses.isEmpty
          ? "" : "\nwithout a vector: " + misses.map(\.escapedShortened).joined(separator: " "))
  }
}
