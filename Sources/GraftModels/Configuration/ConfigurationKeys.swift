internal import GraftCore

/// Typed access to the keys of a `config.json`, with errors that name file and key.
struct ConfigurationKeys {
  let json: JSONValue
  let file: String

  init(_ json: JSONValue, file: String) {
    self.json = json
    self.file = file
  }

  func isPresent(_ key: String) -> Bool { json[key].map { $0 != .null } ?? false }

  /// A positive integer below 2³¹, so that products of two never overflow.
  func positive(
    _ key: String, default fallback: Int? = nil, atMost limit: Int = Int(Int32.max)
  ) throws(ModelError) -> Int {
    guard isPresent(key), let value = json[key] else {
      guard let fallback else { throw missing(key) }
      return fallback
    }
    guard let number = value.int, number > 0, number <= limit else {
      throw invalid(
        key, expected: "a positive integer of at most \(limit)",
        found: value.serialized(indent: nil))
    }
    return number
  }

  func number(_ key: String, default fallback: Double? = nil) throws(ModelError) -> Double {
    guard isPresent(key), let value = json[key] else {
      guard let fallback else { throw missing(key) }
      return fallback
    }
    guard let number = value.double, number.isFinite else {
      throw invalid(key, expected: "a number", found: value.serialized(indent: nil))
    }
    return number
  }

  /// The most blocks that a configuration may declare.
  static let maximumLayers = 4096
  /// The widest residual stream or feed-forward network, so that no product of extents overflows.
  static let maximumWidth = 1 << 24
  /// The most heads, and the widest head.
  static let maximumHeads = 1 << 16

  func atLeastZero(_ key: String, default fallback: Double) throws(ModelError) -> Double {
    let value = try number(key, default: fallback)
    guard value >= 0 else { throw invalid(key, expected: "0 or more", found: "\(value)") }
    return value
  }

  /// Which layers have a sliding window by `layer_types`; nil when there is no such key.
  func slidingLayers(count: Int) throws(ModelError) -> [Bool]? {
    guard isPresent("layer_types"), let value = json["layer_types"] else { return nil }
    let names = value.array?.map(\.string) ?? []
    let known = ["full_attention", "sliding_attention"]
    guard names.count == count, names.allSatisfy({ known.contains($0 ?? "") }) else {
      throw invalid(
        "layer_types", expected: "\(count) of " + known.joined(separator: " and "),
        found: value.serialized(indent: nil))
    }
    return names.map { $0 == known[1] }
  }

  /// A number above a limit.
  func above(
    _ key: String, _ limit: Double, default fallback: Double? = nil
  ) throws(ModelError) -> Double {
    let value = try number(key, default: fallback)
    guard value > limit else {
      throw invalid(key, expected: "a number above \(limit)", found: "\(value)")
    }
    return value
  }

  func flag(_ key: String, default fallback: Bool) throws(ModelError) -> Bool {
    guard isPresent(key), let value = json[key] else { return fallback }
    guard let flag = value.bool else {
      throw invalid(key, expected: "true or false", found: value.serialized(indent: nil))
    }
    return flag
  }

  /// A token id, a list of them, or nothing.
  func tokens(_ key: String) throws(ModelError) -> [Int] {
    guard isPresent(key), let value = json[key] else { return [] }
    let values = value.array ?? [value]
    let tokens = values.compactMap(\.int)
    guard tokens.count == values.count, tokens.allSatisfy({ 0...Int(Int32.max) ~= $0 }) else {
      throw invalid(key, expected: "token ids", found: value.serialized(indent: nil))
    }
    return tokens
  }

  func missing(_ key: String) -> ModelError { ModelError(.missingKey(key), file: file) }

  func invalid(_ key: String, expected: String, found: String) -> ModelError {
    ModelError(.invalidValue(key: key, expected: expected, found: found), file: file)
  }

  func unsupported(_ feature: String, found: String) -> ModelError {
    ModelError(.unsupported(feature: feature, found: found), file: file)
  }
}
