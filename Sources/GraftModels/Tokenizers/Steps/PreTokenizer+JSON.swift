import GraftCore

extension PreTokenizer {
  /// Builds the steps from the `pre_tokenizer` of a `tokenizer.json`; null means none.
  init(_ json: JSONValue, _ reader: TokenizerReader) throws(ModelError) {
    guard !json.isNull else { return }
    try append(json, reader)
  }

  private mutating func append(
    _ json: JSONValue, _ reader: TokenizerReader
  ) throws(ModelError) {
    let kind = try reader.kind(of: json, "pre_tokenizer")
    guard !isByteLevel || kind == "Sequence" else {
      throw reader.unsupported("pre-tokenizer after ByteLevel", kind)
    }
    switch kind {
    case "Sequence":
      for part in json["pretokenizers"]?.array ?? [] { try append(part, reader) }
    case "ByteLevel":
      if json["add_prefix_space"]?.bool ?? true { steps.append(.prefixSpace) }
      if json["use_regex"]?.bool ?? true {
        steps.append(.split(try reader.splitter(expression: Splitter.gpt2)))
      }
      isByteLevel = true
    case "Split":
      let behavior = try reader.behavior(json)
      let inverted = json["invert"]?.bool ?? false
      steps.append(
        .split(try reader.splitter(try reader.pattern(json), behavior, isInverted: inverted)))
    case "Digits":
      let individual = json["individual_digits"]?.bool ?? false
      steps.append(
        .split(try reader.splitter(.scalar(.numbers), individual ? .isolated : .contiguous)))
    case "Punctuation":
      let behavior = try reader.behavior(json)
      steps.append(.split(try reader.splitter(.scalar(.punctuation), behavior)))
    case "Whitespace":
      let other = ScalarSet.wordCharacters.union(.whitespace).inverted
      steps.append(
        .split(
          try reader.splitter(
            .alternatives([.run(.wordCharacters), .run(other)]), .removed, isInverted: true)))
    case "WhitespaceSplit":
      steps.append(.split(try reader.splitter(.scalar(.whitespace), .removed)))
    case "BertPreTokenizer":
      steps.append(.split(try reader.splitter(.scalar(.whitespace), .removed)))
      steps.append(.split(try reader.splitter(.scalar(.punctuation), .isolated)))
    case "CharDelimiterSplit":
      let delimiter = Pattern.literal(json["delimiter"]?.string ?? "")
      steps.append(.split(try reader.splitter(delimiter, .removed)))
    case "Metaspace": steps.append(.metaspace(try Metaspace(json, reader)))
    default: throw reader.unsupported("pre-tokenizer", kind)
    }
    guard steps.count <= TokenizerReader.maximumSteps else {
      throw reader.unsupported(
        "number of pre-tokenizers", "more than \(TokenizerReader.maximumSteps)")
    }
  }
}

extension PreTokenizer.Metaspace {
  fileprivate init(_ json: JSONValue, _ reader: TokenizerReader) throws(ModelError) {
    let replacement = json["replacement"]?.string ?? "▁"
    guard replacement.unicodeScalars.count == 1 else {
      throw reader.invalid("pre_tokenizer.replacement", "one character", replacement)
    }
    marker = Array(replacement.utf8)
    prepends = try PrependScheme(json, reader)
    splitter =
      json["split"]?.bool ?? true
      ? try reader.splitter(.literal(replacement), .mergedWithNext) : nil
  }
}

extension PreTokenizer.Metaspace.PrependScheme {
  /// The `prepend_scheme`, or what the older `add_prefix_space` means.
  init(_ json: JSONValue, _ reader: TokenizerReader) throws(ModelError) {
    let name = json["prepend_scheme"]?.string ?? "always"
    guard let scheme = Self(rawValue: name) else {
      throw reader.invalid("prepend_scheme", "always, first or never", name)
    }
    self = json["add_prefix_space"]?.bool == false ? .never : scheme
  }
}
