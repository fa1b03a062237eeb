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
