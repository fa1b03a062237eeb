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
      for part in json["normalizers"]?.array ?? [] { parts.append(try Normalizer(part, reader)) }
      self = .sequence(parts)
    case let kind: throw reader.unsupported("normalizer", kind)
    }
  }
}
