internal import GraftCore

/// A tokenizer in the words of the metadata, checked, and as `tokenizer.json`.
struct GGUFTokenizer {
  enum Model {
    /// Byte-level pairs: merges in order, and the name of the way text is split first.
    case byteLevel(merges: [(String, String)], split: GGUFTextSplit)
    /// SentencePiece's pairs: the merges that the tokens' scores stand for, bytes for what has no token.
    case sentencePiece(merges: [(String, String)], addsPrefixSpace: Bool)
  }

  /// What kind of token it is, in SentencePiece's numbers.
  enum TokenType {
    static let normal: Int64 = 1
    static let unknown: Int64 = 2
    static let control: Int64 = 3
    static let userDefined: Int64 = 4
    /// A row of the embedding table without a token.
    static let unused: Int64 = 5
    static let byte: Int64 = 6
  }

  let model: Model
  let tokens: [String]
  let types: [Int64]
  let begin: Int?
  let end: Int?
  let unknown: Int?
  let padding: Int?
  /// The tokens between sentences, before a text and in place of a word, which encoders have.
  let marks: [(role: String, id: Int)]
  let addsBegin: Bool
  let addsEnd: Bool
  let chatTemplate: String?
  /// Templates for other occasions, by name.
  let namedTemplates: [(name: String, text: String)]
  let contextLength: Int?

  /// Reads the tokenizer; nil when the file has none.
  init?(_ source: GGUFReader) throws(StorageError) {
    let keys = GGUFTokenizerKeys(source: source)
    guard let kind = source["tokenizer.ggml.model"]?.string, kind != "none", kind != "no_vocab"
    else { return nil }
    tokens = try keys.strings("tokens")
    var names = DistinctNames(reserving: tokens.count)
    for token in tokens where !names.insert(TensorName(token)) {
      throw .repeated(token, rule: "gguf M-6", file: source.path)
    }
    types = try keys.types(count: tokens.count)
    switch kind {
    case "gpt2":
      let name = source["tokenizer.ggml.pre"]?.string ?? "default"
      guard let split = GGUFTextSplit.named(name) else {
        throw StorageError(
          .unsupported(feature: "pre-tokenizer (gguf M-5)", found: name), file: source.path)
      }
      model = .byteLevel(merges: try keys.merges(), split: split)
      addsBegin = try keys.bool("add_bos_token") ?? split.addsBegin
    case "llama":
      guard let merges = GGUFScoreMerges.merges(tokens, try keys.scores(count: tokens.count)) else {
        throw keys.violation("scores", expected: "scores of a tokenizer", found: "endless merges")
      }
      model = .sentencePiece(
        merges: merges,
        addsPrefixSpace: try keys.bool("add_space_prefix") ?? true)
      addsBegin = try keys.bool("add_bos_token") ?? true
    default:
      throw StorageError(
        .unsupported(feature: "tokenizer (gguf M-5)", found: kind), file: source.path)
    }
    addsEnd = try keys.bool("add_eos_token") ?? false
    begin = try keys.token("bos_token_id", count: tokens.count)
    end = try keys.token("eos_token_id", count: tokens.count)
    unknown = try keys.token("unknown_token_id", count: tokens.count)
    padding = try keys.token("padding_token_id", count: tokens.count)
    var marks: [(role: String, id: Int)] = []
    for (key, role) in GGUFTokenizerKeys.marks {
      guard let id = try keys.token(key, count: tokens.count) else { continue }
      marks.append((role, id))
    }
    self.marks = marks
    chatTemplate = source["tokenizer.chat_template"]?.string
    namedTemplates = source.entries.compactMap { key, value in
      guard let name = GGUFTokenizerKeys.templateName(key), let text = value.string else {
        return nil
      }
      return (name, text)
    }
    contextLength = source["general.architecture"]?.string.flatMap {
      source[$0 + ".context_length"]?.int
    }
  }
}

// MARK: - The files

extension GGUFTokenizer {
  /// The special tokens by their role.
  var specialTokens: [(key: String, value: JSONValue)] {
    var special: [(key: String, value: JSONValue)] = [
      ("bos_token", begin), ("eos_token", end), ("unk_token", unknown), ("pad_token", padding),
    ].compactMap { role, id in id.map { (role, .string(tokens[$0])) } }
    special += marks.map { ($0.role, .string(tokens[$0.id])) }
    return special
  }

  /// One template, or a list of them with their names.
  private var chatTemplates: JSONValue? {
    guard !namedTemplates.isEmpty else { return chatTemplate.map { .string($0) } }
    let usual = chatTemplate.map { [(name: "default", text: $0)] } ?? []
    return .array(
      (usual + namedTemplates).map { ["name": .string($0.name), "template": .string($0.text)] })
  }

  /// `tokenizer_config.json`.
  var config: JSONValue {
    var members: [(key: String, value: JSONValue)] = [
      ("tokenizer_class", "PreTrainedTokenizerFast"),
      ("add_bos_token", .bool(addsBegin)), ("add_eos_token", .bool(addsEnd)),
      ("clean_up_tokenization_spaces", false),
    ]
    members += specialTokens
    if let contextLength { members.append(("model_max_length", JSONValue(contextLength))) }
    if let chatTemplates { members.append(("chat_template", chatTemplates)) }
    return .object(JSONObject(members: members))
  }

  /// `tokenizer.json`.
  var json: JSONValue {
    get throws(StorageError) {
      switch model {
      case .byteLevel(let merges, let split): byteLevel(merges, split)
      case .sentencePiece(let merges, let addsPrefixSpace):
        sentencePiece(merges, addsPrefixSpace: addsPrefixSpace)
      }
    }
  }

  private func document(
    normalizer: JSONValue, preTokenizer: JSONValue, processor: JSONValue, decoder: JSONValue,
    model: JSONValue
  ) -> JSONValue {
    [
      "version": "1.0", "truncation": .null, "padding": .null, "added_tokens": addedTokens,
      "normalizer": normalizer, "pre_tokenizer": preTokenizer,
      "post_processor": template ?? processor, "decoder": decoder, "model": model,
    ]
  }

  /// The tokens that are found in text before anything else: control tokens and those of users.
  private var addedTokens: JSONValue {
    .array(
      tokens.indices.compactMap { id in
        let isSpecial = types[id] == TokenType.control || types[id] == TokenType.unknown
        guard isSpecial || types[id] == TokenType.userDefined else { return nil }
        return [
          "id": JSONValue(id), "content": .string(tokens[id]), "single_word": false,
          "lstrip": false, "rstrip": false, "normalized": false, "special": .bool(isSpecial),
        ]
      })
  }

  /// What surrounds a text; nil when nothing does.
  private var template: JSONValue? {
    let first = addsBegin ? begin : nil
    let last = addsEnd ? end : nil
    guard first != nil || last != nil else { return nil }
    func special(_ id: Int, _ type: Int) -> JSONValue {
      ["SpecialToken": ["id": .string(tokens[id]), "type_id": JSONValue(type)]]
    }
    func sequence(_ name: String, _ type: Int) -> [JSONValue] {
      [
        first.map { special($0, type) },
        ["Sequence": ["id": .string(name), "type_id": JSONValue(type)]],
        last.map { special($0, type) },
      ].compactMap { $0 }
    }
    var ids = [first, last].compactMap { $0 }
    if ids.count == 2, ids[0] == ids[1] { ids.removeLast() }
    return [
      "type": "TemplateProcessing", "single": .array(sequence("A", 0)),
      "pair": .array(sequence("A", 0) + sequence("B", 1)),
      "special_tokens": .object(
        JSONObject(
          members: ids.map { id in
            (
              tokens[id],
              ["id": .string(tokens[id]), "ids": [JSONValue(id)], "tokens": [.string(tokens[id])]]
            )
          })),
    ]
  }

  private func byteLevel(_ merges: [(String, String)], _ split: GGUFTextSplit) -> JSONValue {
    let bytes: JSONValue = [
      "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
      "use_regex": .bool(false),
    ]
    return document(
      normalizer: split.normalizer, preTokenizer: split.json, processor: bytes,
      decoder: [
        "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true,
      ],
      model: pairModel(
        merges, unknown: nil, fuse: false, byteFallback: false, ignoreMerges: split.ignoresMerges))
  }

  private func sentencePiece(
    _ merges: [(String, String)], addsPrefixSpace: Bool
  ) -> JSONValue {
    let replace: JSONValue = ["type": "Replace", "pattern": ["String": " "], "content": "▁"]
    let restore: JSONValue = ["type": "Replace", "pattern": ["String": "▁"], "content": " "]
    let strip: JSONValue = ["type": "Strip", "content": " ", "start": 1, "stop": 0]
    return document(
      normalizer: addsPrefixSpace
        ? ["type": "Sequence", "normalizers": [["type": "Prepend", "prepend": "▁"], replace]]
        : replace,
      preTokenizer: .null, processor: .null,
      decoder: [
        "type": "Sequence",
        "decoders": .array(
          [restore, ["type": "ByteFallback"], ["type": "Fuse"]] + (addsPrefixSpace ? [strip] : [])),
      ],
      model: pairModel(
        merges,
        unknown: unknown ?? types.firstIndex(of: TokenType.unknown), fuse: true,
        byteFallback: true, ignoreMerges: false))
  }

  private func pairModel(
    _ merges: [(String, String)], unknown: Int?, fuse: Bool, byteFallback: Bool, ignoreMerges: Bool
  ) -> JSONValue {
    [
      "type": "BPE", "dropout": .null,
      "unk_token": unknown.map { .string(tokens[$0]) } ?? .null,
      "continuing_subword_prefix": .null, "end_of_word_suffix": .null, "fuse_unk": .bool(fuse),
      "byte_fallback": .bool(byteFallback), "ignore_merges": .bool(ignoreMerges),
      "vocab": .object(
        JSONObject(
          members: tokens.enumerated().filter { types[$0.offset] != TokenType.unused }
            .map { ($1, JSONValue($0)) })),
      "merges": .array(merges.map { [.string($0), .string($1)] }),
    ]
  }
}
