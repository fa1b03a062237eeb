import GraftCore

/// The special tokens around a text.
struct PostProcessor: Sendable {
  var prefix: [Int32] = []
  var suffix: [Int32] = []

  /// Builds it from the `post_processor` of a `tokenizer.json`; null means none.
  init(_ json: JSONValue, _ reader: TokenizerReader) throws(ModelError) {
    guard !json.isNull else { return }
    switch try reader.kind(of: json, "post_processor") {
    case "ByteLevel": break
    case "Sequence":
      for part in json["processors"]?.array ?? [] {
        let inner = try PostProcessor(part, reader)
        prefix = inner.prefix + prefix
        suffix += inner.suffix
      }
    case "BertProcessing", "RobertaProcessing":
      prefix = [try reader.id(json["cls"]?[1], "post_processor.cls")]
      suffix = [try reader.id(json["sep"]?[1], "post_processor.sep")]
    case "TemplateProcessing": try append(template: json, reader)
    case let kind: throw reader.unsupported("post-processor", kind)
    }
  }

  private mutating func append(
    template json: JSONValue, _ reader: TokenizerReader
  ) throws(ModelError) {
    var isBefore = true
    for piece in json["single"]?.array ?? [] {
      if piece["Sequence"] != nil {
        guard isBefore else { throw reader.unsupported("template", "a text twice") }
        isBefore = false
        continue
      }
      let name = piece["SpecialToken"]?["id"]?.string ?? ""
      guard let ids = json["special_tokens"]?[name]?["ids"]?.array else {
        throw reader.invalid("post_processor.special_tokens", "the token \(name)", "none")
      }
      for id in ids {
        let id = try reader.id(id, "post_processor.special_tokens")
        if isBefore { prefix.append(id) } else { suffix.append(id) }
      }
    }
    if isBefore { throw reader.unsupported("template", "no text") }
  }
}
