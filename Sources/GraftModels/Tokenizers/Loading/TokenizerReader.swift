import GraftCore

/// What the parts of a `tokenizer.json` are built with: errors that name the file, patterns, ids.
struct TokenizerReader {
  let file: String
  /// The most steps of a normalizer, a pre-tokenizer or a decoder: each pattern takes a megabyte.
  static let maximumSteps = 16
  /// How many times as long a text, or a token, may become by them.
  static let maximumGrowth = 256

  /// The id of every known token.
  var id: (_ content: [UInt8]) -> Int32? = { _ in nil }

  func unsupported(_ feature: String, _ found: String) -> ModelError {
    ModelError(.unsupported(feature: feature, found: found), file: file)
  }

  func invalid(_ key: String, _ expected: String, _ found: String) -> ModelError {
    ModelError(.invalidValue(key: key, expected: expected, found: found), file: file)
  }

  /// The `type` of a part.
  func kind(of json: JSONValue, _ key: String) throws(ModelError) -> String {
    guard let kind = json["type"]?.string else {
      throw ModelError(.missingKey("\(key).type"), file: file)
    }
    return kind
  }

  /// A token id.
  func id(_ json: JSONValue?, _ key: String) throws(ModelError) -> Int32 {
    guard let id = json?.int, id >= 0, id < TokenTable.maximumCount else {
      throw invalid(key, "an id below \(TokenTable.maximumCount)", json?.serialized() ?? "none")
    }
    return Int32(id)
  }

  /// Holds the steps of a normalizer or a decoder against the limits.
  func check(stepCount: Int, growth: Int, _ part: String) throws(ModelError) {
    guard stepCount <= Self.maximumSteps else {
      throw unsupported("number of steps of the \(part)", "more than \(Self.maximumSteps)")
    }
    guard growth <= Self.maximumGrowth else {
      throw unsupported("growth of a text by the \(part)", "\(growth) times its length")
    }
  }

  // MARK: - Patterns

  /// The `pattern` of a part, as text or as a regular expression.
  func pattern(_ json: JSONValue) throws(ModelError) -> Pattern {
    if let text = json["pattern"]?["String"]?.string { return .literal(text) }
    guard let expression = json["pattern"]?["Regex"]?.string else {
      throw ModelError(.missingKey("pattern"), file: file)
    }
    return try parsed(expression)
  }

  /// The `behavior` of a part; isolated if there is none.
  func behavior(_ json: JSONValue) throws(ModelError) -> Splitter.Behavior {
    let name = json["behavior"]?.string ?? "Isolated"
    guard let behavior = Splitter.Behavior(rawValue: name) else {
      throw unsupported("behavior of a pre-tokenizer", name)
    }
    return behavior
  }

  func splitter(
    _ pattern: Pattern, _ behavior: Splitter.Behavior = .isolated, isInverted: Bool = false
  ) throws(ModelError) -> Splitter {
    do throws(PatternError) {
      return try Splitter(pattern, behavior, isInverted: isInverted)
    } catch {
      throw unsupported("regular expression", error.feature)
    }
  }

  func splitter(expression: String) throws(ModelError) -> Splitter {
    try splitter(try parsed(expression))
  }

  private func parsed(_ expression: String) throws(ModelError) -> Pattern {
    do throws(PatternError) {
      return try PatternParser.parse(expression)
    } catch {
      throw unsupported("regular expression", "\(error.feature) in \(expression)")
    }
  }
}
