package import GraftCore

/// The tokenizer of a model directory in the words of GGUF: the inverse of ``GGUFTokenizer``.
package struct GGUFTokenizerEntries {
  /// What a directory says of its tokenizer.
  package struct Files {
    /// `tokenizer.json`.
    package var tokenizer: JSONValue?
    /// `tokenizer_config.json`.
    package var settings: JSONValue = .null
    /// `special_tokens_map.json`.
    package var special: JSONValue = .null
    /// `config.json`.
    package var configuration: JSONValue = .null
    /// `generation_config.json`.
    package var generation: JSONValue = .null
    /// `chat_template.jinja`.
    package var template: String?
    /// `additional_chat_templates/NAME.jinja`, by name.
    package var namedTemplates: [(name: String, text: String)] = []

    package init() {}
  }

  /// The keys, with their values.
  private(set) var entries: [(key: String, value: GGUFValue)] = []
  /// Tokens that end generation, and for which there is no key.
  private(set) var surplusEnds: [Int] = []
  private let files: Files
  /// The tokens that a text gets at its ends.
  private var ends: (begin: String?, end: String?) = (nil, nil)
  private let vocabularySize: Int
  private let path: String

  /// Translates a tokenizer.
  ///
  /// - Parameters:
  ///   - vocabularySize: The rows of the embedding table, as many as there will be tokens.
  ///   - path: `tokenizer.json`, for errors.
  /// - Throws: ``StorageError`` for a tokenizer whose ids GGUF's readers would not give.
  init(_ files: Files, vocabularySize: Int, path: String) throws(StorageError) {
    self.files = files
    self.vocabularySize = vocabularySize
    self.path = path
    if let tokenizer = files.tokenizer {
      try addTokens(of: tokenizer)
    } else {
      add("model", .string("none"))
    }
    try addSpecialTokens()
    addChatTemplates()
  }

  private mutating func add(_ key: String, _ value: GGUFValue) {
    entries.append(("tokenizer.ggml." + key, value))
  }
}

// MARK: - Tokens

extension GGUFTokenizerEntries {
  /// The tokens by id with their kinds, in SentencePiece's numbers; rows of the embedding table without a token have a name that
  /// says so.
  private struct Table {
    var tokens: [String]
    var types: [Int64]
    var isAdded: Set<TensorName> = []
  }

  private mutating func addTokens(of tokenizer: JSONValue) throws(StorageError) {
    let model = tokenizer["model"] ?? .null
    let kind = model["type"]?.string ?? "BPE"
    guard kind == "BPE" else { throw unsupported("tokenizer", kind) }
    let table = try table(of: tokenizer)
    let merges = try merges(of: model)
    if model["byte_fallback"]?.bool == true {
      let addsPrefix = try prefixSpace(of: tokenizer)
      add("model", .string("llama"))
      add("pre", .string("default"))
      add("tokens", .array(.strings(table.tokens)))
      add("scores", .array(.float32(try scores(table, merges))))
      add("token_type", .array(.signed(table.types, bits: 32)))
      add("add_space_prefix", .bool(addsPrefix))
    } else {
      guard let split = GGUFTextSplit.name(splitting: tokenizer) else {
        throw unsupported("way to split text", "one that GGUF has no name for")
      }
      guard !merges.contains(where: { $0.0.contains(" ") || $0.1.contains(" ") }) else {
        throw StorageError(
          .notRepresentable(what: "merges of tokens with spaces (gguf M-6)", inFormat: "GGUF"),
          file: path)
      }
      add("model", .string("gpt2"))
      add("pre", .string(split))
      add("tokens", .array(.strings(table.tokens)))
      add("token_type", .array(.signed(table.types, bits: 32)))
      add("merges", .array(.strings(merges.map { $0.0 + " " + $0.1 })))
    }
    ends = try ends(tokenizer["post_processor"] ?? .null)
    add("add_bos_token", .bool(ends.begin != nil))
    add("add_eos_token", .bool(ends.end != nil))
  }

  private func table(of tokenizer: JSONValue) throws(StorageError) -> Table {
    var tokens = [String?](repeating: nil, count: vocabularySize)
    var types = [Int64](repeating: GGUFTokenizer.TokenType.unused, count: vocabularySize)
    var table = Table(tokens: [], types: [])
    func put(_ token: String, _ id: Int?, _ type: Int64) throws(StorageError) {
      guard let id, id >= 0, id < vocabularySize else {
        throw StorageError(
          .mismatch(
            subject: "the id of the token \"\(token.escapedShortened)\"",
            expected: "one below the \(vocabularySize) rows of the embedding table",
            found: id.map(String.init) ?? "none"), file: path)
      }
      if let other = tokens[id], !other.utf8.elementsEqual(token.utf8) {
        throw StorageError(
          .mismatch(
            subject: "token \(id)", expected: "\"\(other.escapedShortened)\"",
            found: "\"\(token)\" too"), file: path)
      }
      tokens[id] = token
      types[id] = type
    }
    for member in tokenizer["model"]?["vocab"]?.object?.members ?? [] {
      try put(member.key, member.value.int, kind(of: member.key, in: tokenizer))
    }
    for added in tokenizer["added_tokens"]?.array ?? [] {
      let token = added["content"]?.string ?? ""
      let isUnknown = token == tokenizer["model"]?["unk_token"]?.string
      let type =
        isUnknown
        ? GGUFTokenizer.TokenType.unknown
        : added["special"]?.bool == true
          ? GGUFTokenizer.TokenType.control : GGUFTokenizer.TokenType.userDefined
      try put(token, added["id"]?.int, type)
      table.isAdded.insert(TensorName(token))
    }
    table.tokens = tokens.enumerated().map { id, token in token ?? "[PAD\(id)]" }
    try table.tokens.lazy.map { TensorName($0) }.checkDiffer(
      "tokens", inFormat: "GGUF", rule: "gguf M-6", file: path)
    table.types = types
    return table
  }

  /// What kind a token of the model itself is: SentencePiece has tokens for bytes, and one for what is unknown.
  private func kind(of token: String, in tokenizer: JSONValue) -> Int64 {
    let model = tokenizer["model"]
    guard model?["byte_fallback"]?.bool == true else { return GGUFTokenizer.TokenType.normal }
    if token == model?["unk_token"]?.string { return GGUFTokenizer.TokenType.unknown }
    let bytes = Array(token.utf8)
    let isByte =
      bytes.count == 6 && token.hasPrefix("<0x") && token.hasSuffix(">")
      && UInt8(token.dropFirst(3).dropLast(), radix: 16) != nil
    return isByte ? GGUFTokenizer.TokenType.byte : GGUFTokenizer.TokenType.normal
  }

  private func merges(of model: JSONValue) throws(StorageError) -> [(String, String)] {
    var merges: [(String, String)] = []
    for merge in model["merges"]?.array ?? [] {
      if let pair = merge.array, pair.count == 2, let left = pair[0].string,
        let right = pair[1].string
      {
        merges.append((left, right))
        continue
      }
      let parts = (merge.string ?? "").unicodeScalars.split(
        separator: " ", omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
        throw StorageError(
          .mismatch(
            subject: "a merge of the tokenizer", expected: "two tokens",
            found: merge.serialized(indent: nil)), file: path)
      }
      merges.append((String(parts[0]), String(parts[1])))
    }
    return merges
  }

  /// Scores from which GGUF's readers make the same merges in the same order: the earlier a token is made, the better.
  private func scores(
    _ table: Table, _ merges: [(String, String)]
  ) throws(StorageError) -> [Float] {
    var ranks: [TensorName: Int] = [:]
    for (rank, merge) in merges.enumerated() {
      let token = TensorName(merge.0 + merge.1)
      if ranks[token] == nil { ranks[token] = rank }
    }
    var scores: [Float] = []
    var last = merges.count
    for (token, type) in zip(table.tokens, table.types) {
      if let rank = ranks[TensorName(token)] {
        scores.append(-Float(rank))
      } else if type == GGUFTokenizer.TokenType.normal {
        scores.append(-Float(last))
        last += 1
      } else {
        scores.append(0)
      }
    }
    // Added tokens are cut out of a text before anything is merged.
    func counted(_ merges: [(String, String)]) -> [(String, String)] {
      merges.filter { !table.isAdded.contains(TensorName($0.0 + $0.1)) }
    }
    guard let found = GGUFScoreMerges.merges(table.tokens, scores).map(counted),
      found.elementsEqual(
        counted(merges),
        by: { TensorName($0.0) == TensorName($1.0) && TensorName($0.1) == TensorName($1.1) })
    else {
      throw StorageError(
        .notRepresentable(
          what: "an order of merges that no scores of tokens give", inFormat: "GGUF"), file: path)
    }
    return scores
  }

  /// Whether a text gets a space at its start; spaces become marks in any case.
  private func prefixSpace(of tokenizer: JSONValue) throws(StorageError) -> Bool {
    let normalizer = tokenizer["normalizer"] ?? .null
    let before = tokenizer["pre_tokenizer"] ?? .null
    let steps =
      normalizer["type"]?.string == "Sequence"
      ? normalizer["normalizers"]?.array ?? [] : normalizer.isNull ? [] : [normalizer]
    let replaces = steps.last.map {
      $0["type"]?.string == "Replace" && $0["pattern"]?["String"]?.string == " "
        && $0["content"]?.string == "▁"
    }
    // Once every space is a mark, there is no space left to split at.
    let splitsNothing =
      before.isNull
      || before["type"]?.string == "Split" && before["pattern"]?["String"]?.string == " "
    if splitsNothing, replaces == true, steps.count == 1 { return false }
    if splitsNothing, replaces == true, steps.count == 2, steps[0]["type"]?.string == "Prepend",
      steps[0]["prepend"]?.string == "▁"
    {
      return true
    }
    if steps.isEmpty, before["type"]?.string == "Metaspace", before["split"]?.bool == false,
      before["replacement"]?.string == "▁"
    {
      return before["prepend_scheme"]?.string != "never"
    }
    throw unsupported("way to split text", "one that SentencePiece hasn't")
  }

  /// The tokens that a text gets at its ends, at most one at each.
  private func ends(
    _ processor: JSONValue
  ) throws(StorageError) -> (begin: String?, end: String?) {
    if processor["type"]?.string == "Sequence" {
      for step in processor["processors"]?.array ?? [] {
        let ends = try ends(step)
        if ends.begin != nil || ends.end != nil { return ends }
      }
    }
    guard let single = processor["single"]?.array,
      let text = single.firstIndex(where: { $0["Sequence"] != nil })
    else { return (nil, nil) }
    let after = single.count - text - 1
    guard text <= 1, after <= 1 else {
      throw unsupported("ends of a text", "several tokens at one")
    }
    func token(_ place: Int) -> String? { single[place]["SpecialToken"]?["id"]?.string }
    return (text == 1 ? token(0) : nil, after == 1 ? token(text + 1) : nil)
  }

  private func unsupported(_ feature: String, _ found: String) -> StorageError {
    StorageError(.unsupported(feature: "\(feature) (gguf M-5)", found: found), file: path)
  }
}

// MARK: - Roles and templates

extension GGUFTokenizerEntries {
  private mutating func addSpecialTokens() throws(StorageError) {
    var ids: [TensorName: Int] = [:]
    if case .array(.strings(let tokens)) = entries.first(where: { $0.key.hasSuffix(".tokens") })?
      .value
    {
      for (id, token) in tokens.enumerated() { ids[TensorName(token)] = id }
    }
    func named(_ name: String) -> Int? {
      let token = files.settings[name] ?? files.special[name]
      return (token?.string ?? token?["content"]?.string).flatMap { ids[TensorName($0)] }
    }
    func id(_ name: String) -> Int? {
      if let id = named(name) { return id }
      let numbers = [files.configuration, files.generation].compactMap { $0[name + "_id"] }
      return numbers.lazy.compactMap { $0.int ?? $0.array?.first?.int }.first
    }
    // What is put at the ends of a text is what counts.
    let begin = ends.begin.flatMap { ids[TensorName($0)] } ?? id("bos_token")
    let end = ends.end.flatMap { ids[TensorName($0)] } ?? id("eos_token")
    var unknown = id("unk_token")
    if unknown == nil, let text = files.tokenizer?["model"]?["unk_token"]?.string {
      unknown = ids[TensorName(text)]
    }
    // What else ends generation ends a turn or a message; there are no keys for more.
    var turns: [Int] = []
    let list = files.generation["eos_token_id"] ?? files.configuration["eos_token_id"]
    for id in (list?.array ?? []).compactMap(\.int) where id != end && !turns.contains(id) {
      turns.append(id)
    }
    surplusEnds = Array(turns.dropFirst(2))
    var roles = [
      ("bos", begin), ("eos", end), ("unknown", unknown), ("padding", id("pad_token")),
      ("eot", turns.first), ("eom", turns.dropFirst().first),
    ]
    roles += GGUFTokenizerKeys.marks.map { mark in
      (String(mark.key.dropLast("_token_id".count)), named(mark.role))
    }
    for (key, id) in roles {
      guard let id else { continue }
      guard id >= 0, id < vocabularySize else {
        throw StorageError(
          .mismatch(
            subject: "the \(key) token's id", expected: "one below \(vocabularySize)",
            found: String(id)), file: path)
      }
      add(key + "_token_id", .unsigned(UInt64(id), bits: 32))
    }
  }

  private mutating func addChatTemplates() {
    let json = files.settings["chat_template"]
    // As in transformers a file comes before the configuration, and one with a name before the usual one.
    var named = files.namedTemplates
    for entry in json?.array ?? [] {
      guard let name = entry["name"]?.string, let text = entry["template"]?.string,
        !named.contains(where: { $0.name == name })
      else { continue }
      named.append((name, text))
    }
    func isDefault(_ template: (name: String, text: String)) -> Bool { template.name == "default" }
    let usual =
      files.namedTemplates.first(where: isDefault)?.text ?? files.template ?? json?.string
      ?? named.first(where: isDefault)?.text
    if let usual { entries.append(("tokenizer.chat_template", .string(usual))) }
    let others = named.filter { !isDefault($0) }
    guard !others.isEmpty else { return }
    entries.append(("tokenizer.chat_templates", .array(.strings(others.map(\.name)))))
    for other in others {
      entries.append(("tokenizer.chat_template." + other.name, .string(other.text)))
    }
  }
}
