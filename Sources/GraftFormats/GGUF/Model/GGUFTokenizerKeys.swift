internal import GraftCore

/// The tokenizer's part of the metadata; every array is checked against the number of tokens.
struct GGUFTokenizerKeys {
  let source: GGUFReader

  private subscript(_ key: String) -> GGUFValue? { source["tokenizer.ggml." + key] }

  func strings(_ key: String) throws(StorageError) -> [String] {
    guard case .array(.strings(let elements)) = self[key] else {
      throw violation(key, expected: "an array of strings", found: self[key]?.typeName ?? "none")
    }
    return elements
  }

  /// The kinds of the tokens; all normal when the file doesn't say.
  func types(count: Int) throws(StorageError) -> [Int64] {
    guard let value = self["token_type"] else { return [Int64](repeating: 1, count: count) }
    switch value {
    case .array(.signed(let elements, _)) where elements.count == count: return elements
    case .array(.unsigned(let elements, _)) where elements.count == count:
      return elements.map(Int64.init(truncatingIfNeeded:))
    default:
      throw violation("token_type", expected: "\(count) integers", found: value.typeName)
    }
  }

  func scores(count: Int) throws(StorageError) -> [Float] {
    guard case .array(.float32(let elements)) = self["scores"], elements.count == count else {
      throw violation(
        "scores", expected: "\(count) f32", found: self["scores"]?.typeName ?? "none")
    }
    return elements
  }

  /// The merges, each two tokens around one space.
  func merges() throws(StorageError) -> [(String, String)] {
    var merges: [(String, String)] = []
    for merge in try strings("merges") {
      let parts = merge.unicodeScalars.split(
        separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty,
        !parts[1].contains(" ")
      else {
        throw violation("merges", expected: "two tokens and a space", found: "\"\(merge)\"")
      }
      merges.append((String(parts[0]), String(parts[1])))
    }
    return merges
  }

  func bool(_ key: String) throws(StorageError) -> Bool? {
    guard let value = self[key] else { return nil }
    guard let flag = value.bool else {
      throw violation(key, expected: "a bool", found: value.typeName)
    }
    return flag
  }

  /// The id of a token with a role.
  func token(_ key: String, count: Int) throws(StorageError) -> Int? {
    guard let value = self[key] else { return nil }
    guard let id = value.int, id >= 0, id < count else {
      throw violation(key, expected: "a token below \(count)", found: value.description)
    }
    return id
  }

  func violation(_ key: String, expected: String, found: String) -> StorageError {
    StorageError(
      .malformed(
        rule: "gguf M-6", expected: "tokenizer.ggml.\(key): \(expected)", found: found),
      file: source.path)
  }
}

// MARK: - Tables

extension GGUFTokenizerKeys {
  /// Special tokens of encoders: the key below `tokenizer.ggml.`, and the role in a directory's files.
  static let marks: [(key: String, role: String)] = [
    ("seperator_token_id", "sep_token"), ("cls_token_id", "cls_token"),
    ("mask_token_id", "mask_token"),
  ]

  /// What the files say of any model.
  private static let always: Set<String> = [
    "model", "bos_token_id", "eos_token_id", "padding_token_id", "eot_token_id", "eom_token_id",
  ]

  /// What they say of a tokenizer.
  private static let known: Set<String> = Set([
    "pre", "tokens", "token_type", "scores", "merges", "unknown_token_id", "add_bos_token",
    "add_eos_token", "add_space_prefix",
  ]).union(marks.map(\.key))

  /// Switches that are off in every tokenizer of the two kinds.
  private static let switches: Set<String> = [
    "add_sep_token", "add_padding_token", "add_unknown_token", "remove_extra_whitespaces",
  ]

  /// Roles of tokens that are there by their names, and what encoders or a tokenizer alone have.
  private static let bookkeeping: Set<String> = [
    "fim_pre_token_id", "fim_suf_token_id", "fim_mid_token_id", "fim_pad_token_id",
    "fim_rep_token_id", "fim_sep_token_id", "prefix_token_id", "suffix_token_id",
    "middle_token_id", "token_type_count", "unknown_token_id",
  ]

  /// The name of a template for another occasion than the usual one, by its key.
  static func templateName(_ key: String) -> String? {
    let prefix = "tokenizer.chat_template."
    return key.hasPrefix(prefix) ? String(key.dropFirst(prefix.count)) : nil
  }

  /// How a key `tokenizer.…` stands to the files of a directory.
  static func standing(
    of key: String, _ value: GGUFValue, hasTokenizer: Bool
  ) -> GGUFOmissions.Standing {
    let prefix = "tokenizer.ggml."
    guard key.hasPrefix(prefix) else {
      // The list of the templates' names repeats their keys.
      let isTemplate = key == "tokenizer.chat_template" || templateName(key) != nil
      let isText = isTemplate && value.string != nil || key == "tokenizer.chat_templates"
      return isText && hasTokenizer ? .held : .lost
    }
    let name = String(key.dropFirst(prefix.count))
    if always.contains(name) || hasTokenizer && known.contains(name) { return .held }
    if value.bool == false, switches.contains(name) { return .held }
    return bookkeeping.contains(name) ? .bookkeeping : .lost
  }
}
