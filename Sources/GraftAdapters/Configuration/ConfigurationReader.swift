internal import GraftCore

/// Takes keys out of an `adapter_config.json`; what is left at the end is unknown.
struct ConfigurationReader {
  private let file: String
  private let object: JSONObject
  private var taken: Set<String> = []
  /// What the expressions may still take together.
  private var allowance = 2 * PatternProgram.maximumPartCount

  init(_ json: JSONValue, file: String) throws(AdapterError) {
    self.file = file
    guard let object = json.object else {
      throw AdapterError(
        .malformedConfiguration(key: "the file", expected: "an object", found: kind(of: json)),
        file: file)
    }
    self.object = object
  }

  /// The members that nobody took.
  var remainder: JSONObject {
    JSONObject(members: object.members.filter { !taken.contains($0.key) })
  }

  func malformed(_ key: String, expected: String, found: String) -> AdapterError {
    AdapterError(.malformedConfiguration(key: key, expected: expected, found: found), file: file)
  }

  func unsupported(_ key: String, _ found: String) -> AdapterError {
    AdapterError(.unsupportedOption(key: key, found: found), file: file)
  }

  // MARK: - Arithmetic that isn't built

  /// Keys that change the update, with the values that leave it alone besides null, false and empty ones.
  private static let neutralValues: [String: Set<String>] = [
    "alora_invocation_tokens": [], "arrow_config": [], "bias": ["none"], "kasa_config": [],
    "layer_replication": [], "lora_bias": [], "megatron_config": [], "monteclora_config": [],
    "target_parameters": [], "trainable_token_indices": [], "use_bdlora": [], "use_dora": [],
    "use_qalora": [],
    "init_lora_weights": ["true", "gaussian", "orthogonal", "eva"],
  ]

  /// Refuses every option whose arithmetic isn't W + scaling · B · A, known today or not.
  mutating func refuseForeignArithmetic() throws(AdapterError) {
    for (key, value) in object.members {
      if let neutral = Self.neutralValues[key] {
        taken.insert(key)
        guard isBlank(value) || neutral.contains(text(of: value)) else {
          throw unsupported(key, text(of: value))
        }
      } else if key.hasPrefix("use_"), key != "use_rslora", value == .bool(true) {
        throw unsupported(key, "true")
      }
    }
  }

  private func isBlank(_ value: JSONValue) -> Bool {
    switch value {
    case .null, .bool(false): true
    case .array(let elements): elements.isEmpty
    case .object(let object): object.members.isEmpty
    case .bool(true), .number, .string: false
    }
  }

  private func text(of value: JSONValue) -> String {
    value.string ?? value.serialized(indent: nil)
  }

  // MARK: - Values

  private mutating func value(_ key: String) -> JSONValue? {
    taken.insert(key)
    guard let value = object[key], value != .null else { return nil }
    return value
  }

  private mutating func value<T>(_ key: String, _ expected: String, _ read: (JSONValue) -> T?)
    throws(AdapterError) -> T?
  {
    guard let value = value(key) else { return nil }
    guard let result = read(value) else {
      throw malformed(key, expected: expected, found: kind(of: value))
    }
    return result
  }

  mutating func string(_ key: String) throws(AdapterError) -> String? {
    try value(key, "text") { $0.string }
  }

  mutating func integer(_ key: String) throws(AdapterError) -> Int? {
    try value(key, "an integer") { $0.int }
  }

  mutating func number(_ key: String) throws(AdapterError) -> Double? {
    try value(key, "a finite number") { json in
      json.double.flatMap { $0.isFinite ? $0 : nil }
    }
  }

  mutating func bool(_ key: String) throws(AdapterError) -> Bool? {
    try value(key, "true or false") { $0.bool }
  }

  mutating func strings(_ key: String) throws(AdapterError) -> [String]? {
    try value(key, "a list of texts", listOfStrings)
  }

  mutating func layers() throws(AdapterError) -> [Int]? {
    try value("layers_to_transform", "an integer or a list of integers") { json in
      if let layer = json.int { return [layer] }
      let numbers = json.array?.map(\.int)
      return numbers.flatMap { $0.contains(nil) ? nil : $0.compactMap { $0 } }
    }
  }

  mutating func selection(_ key: String) throws(AdapterError) -> ModuleSelection? {
    guard let value = value(key) else { return nil }
    if let pattern = value.string { return .pattern(try self.pattern(pattern)) }
    guard let names = listOfStrings(value) else {
      throw malformed(key, expected: "text or a list of texts", found: kind(of: value))
    }
    return names.isEmpty ? nil : .names(names)
  }

  mutating func targetModules() throws(AdapterError) -> TargetModules {
    let key = "target_modules"
    if let text = object[key]?.string, text.lowercased() == TargetModules.allLinearName {
      taken.insert(key)
      return .allLinear
    }
    switch try selection(key) {
    case .names(let names): return .names(names)
    case .pattern(let pattern): return .pattern(pattern)
    case nil: return .names([])
    }
  }

  mutating func patterns(_ key: String) throws(AdapterError) -> [ModulePattern] {
    let texts = try value(key, "text or a list of texts") { json in
      json.string.map { [$0] } ?? listOfStrings(json)
    }
    var patterns: [ModulePattern] = []
    for text in texts ?? [] { patterns.append(try pattern(text)) }
    return patterns
  }

  mutating func overrides<T>(_ key: String, _ read: (JSONValue) -> T?)
    throws(AdapterError) -> [ModuleOverride<T>]
  {
    guard let members = try value(key, "an object of numbers", { $0.object })?.members else {
      return []
    }
    var overrides: [ModuleOverride<T>] = []
    for (pattern, value) in members {
      guard let number = read(value) else {
        throw malformed(key, expected: "an object of numbers", found: kind(of: value))
      }
      do { overrides.append(try ModuleOverride(pattern, number)) } catch { throw located(error) }
      try spend(overrides[overrides.count - 1].cost, on: pattern)
    }
    return overrides
  }

  private mutating func pattern(_ text: String) throws(AdapterError) -> ModulePattern {
    let pattern: ModulePattern
    do { pattern = try ModulePattern(text) } catch { throw located(error) }
    try spend(pattern.cost, on: text)
    return pattern
  }

  private mutating func spend(_ cost: Int, on text: String) throws(AdapterError) {
    allowance -= cost
    guard allowance >= 0 else {
      throw AdapterError(
        .invalidPattern(
          pattern: text, position: 0, problem: "with those before it, it is too large"),
        file: file)
    }
  }

  private func located(_ error: AdapterError) -> AdapterError {
    AdapterError(error.reason, file: file)
  }
}

/// The texts of a list that holds nothing else.
private func listOfStrings(_ json: JSONValue) -> [String]? {
  let texts = json.array?.map(\.string)
  return texts.flatMap { $0.contains(nil) ? nil : $0.compactMap { $0 } }
}

/// A word for a value's kind.
private func kind(of json: JSONValue) -> String {
  switch json {
  case .null: "null"
  case .bool(let value): "\(value)"
  case .number(let number): number.text
  case .string(let text): "text \"\(text)\""
  case .array: "a list"
  case .object: "an object"
  }
}
