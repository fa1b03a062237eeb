import GraftCore

extension Normalizer {
  /// Builds a normalizer from the `normalizer` of a `tokenizer.json`.
  init(_ json: JSONValue, _ reader: TokenizerReader) throws(ModelError) {
    switch try reader.kind(of: json, "normalizer") {
    case "NFC": self = .nfc
    case "NFD": self = .nfd
    case "NFKC": self = .nfkc
    case "NFKD": self = .nfkd
    case "Lowercase": self = .lowercase
    case "StripAccents": self = .stripAccents
    case "Strip":
      self = .strip(
        left: json["strip_left"]?.bool ?? true, right: json["strip_right"]?.bool ?? true)
    case "Prepend": self = .prepend(Array((json["prepend"]?.string ?? "").utf8))
    case "Replace":
      let content = Array((json["content"]?.string ?? "").utf8)
      if json["pattern"]?["String"]?.string == " " {
        self = .replaceSpaces(content)
      } else {
        self = .replace(try reader.splitter(try reader.pattern(json), .removed), content)
      }
    case "BertNormalizer":
      let lowercases = json["lowercase"]?.bool ?? true
      self = .bert(
        cleans: json["clean_text"]?.bool ?? true,
        spacesIdeographs: json["handle_chinese_chars"]?.bool ?? true,
        stripsAccents: json["strip_accents"]?.bool ?? lowercases, lowercases: lowercases)
    case "Sequence":
      var parts: [Normalizer] = []
      for part in json["normalizers"]?.array ?? [] {
        parts.append(try Normalizer(part, reader))
        try reader.check(stepCount: parts.count, growth: 1, "normalizer")
      }
      self = .sequence(parts)
    case let kind: throw reader.unsupported("normalizer", kind)
    }
    try reader.check(stepCount: stepCount, growth: growth, "normalizer")
  }

  /// The steps, those of sequences counted.
  var stepCount: Int {
    if case .sequence(let parts) = self { parts.reduce(0) { $0 + $1.stepCount } } else { 1 }
  }

  /// How many times as long a text may become by what the file wants put into it.
  var growth: Int {
    switch self {
    case .prepend(let prefix): 1 + prefix.count
    case .replace(_, let replacement), .replaceSpaces(let replacement): max(1, replacement.count)
    case .sequence(let parts): parts.reduce(1) { $0.saturatingProduct($1.growth) }
    default: 1
    }
  }
}

extension Int {
  /// A product that is the greatest number where it doesn't fit.
  func saturatingProduct(_ other: Int) -> Int {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? .max : product
  }
}
