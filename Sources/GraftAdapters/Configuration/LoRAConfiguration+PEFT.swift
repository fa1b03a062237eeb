public import GraftCore

extension LoRAConfiguration {
  /// The file in an adapter's directory.
  public static let fileName = "adapter_config.json"

  /// Reads PEFT's `adapter_config.json`.
  ///
  /// Keys that change the arithmetic in ways that aren't built are refused unless they have their neutral value;
  /// all others are kept.
  /// - Throws: ``AdapterError`` naming the key.
  public init(_ json: JSONValue, file: String) throws(AdapterError) {
    var reader = try ConfigurationReader(json, file: file)
    let kind = try reader.string("peft_type") ?? "LORA"
    guard kind == "LORA" else { throw reader.unsupported("peft_type", kind) }
    try reader.refuseForeignArithmetic()
    let rank = try reader.integer("r") ?? 8
    guard rank > 0 else {
      throw reader.malformed("r", expected: "a positive rank", found: "\(rank)")
    }
    let dropout = try reader.number("lora_dropout") ?? 0
    guard (0...1).contains(dropout) else {
      throw reader.malformed("lora_dropout", expected: "a probability", found: "\(dropout)")
    }
    self.init(
      rank: rank, alpha: try reader.number("lora_alpha") ?? 8,
      targetModules: try reader.targetModules(), dropout: dropout)
    excludedModules = try reader.selection("exclude_modules")
    layers = try reader.layers()
    layersPatterns = try reader.patterns("layers_pattern")
    rankOverrides = try reader.overrides("rank_pattern") { $0.int }
    alphaOverrides = try reader.overrides("alpha_pattern") { $0.double }
    for override in rankOverrides where override.value <= 0 {
      throw reader.malformed(
        "rank_pattern", expected: "positive ranks", found: "\(override.value)")
    }
    usesRSLoRA = try reader.bool("use_rslora") ?? false
    modulesToSave = try reader.strings("modules_to_save") ?? []
    tiesSavedModules = try reader.bool("ensure_weight_tying") ?? false
    // Updates of an embedding that are tied to those of the head are other arithmetic.
    if tiesSavedModules && modulesToSave.isEmpty {
      throw reader.unsupported("ensure_weight_tying", "true")
    }
    isFanInFanOut = try reader.bool("fan_in_fan_out") ?? false
    taskType = try reader.string("task_type")
    baseModelName = try reader.string("base_model_name_or_path")
    otherKeys = reader.remainder
  }

  /// The configuration as PEFT's `adapter_config.json`, for inference.
  public var peftJSON: JSONValue {
    var members: [(key: String, value: JSONValue)] = [
      ("peft_type", "LORA"),
      ("task_type", taskType.map(JSONValue.string) ?? .null),
      ("base_model_name_or_path", baseModelName.map(JSONValue.string) ?? .null),
      ("r", JSONValue(rank)),
      ("lora_alpha", number(alpha)),
      ("lora_dropout", JSONValue(dropout)),
      ("target_modules", targetModulesJSON),
      ("exclude_modules", excludedModulesJSON),
      ("layers_to_transform", layers.map { .array($0.map { JSONValue($0) }) } ?? .null),
      (
        "layers_pattern",
        layersPatterns.isEmpty ? .null : .array(layersPatterns.map { .string($0.text) })
      ),
      (
        "rank_pattern",
        .object(JSONObject(members: rankOverrides.map { ($0.key, JSONValue($0.value)) }))
      ),
      (
        "alpha_pattern",
        .object(JSONObject(members: alphaOverrides.map { ($0.key, number($0.value)) }))
      ),
      ("use_rslora", .bool(usesRSLoRA)),
      ("use_dora", false),
      ("bias", "none"),
      ("fan_in_fan_out", .bool(isFanInFanOut)),
      (
        "modules_to_save", modulesToSave.isEmpty ? .null : .array(modulesToSave.map { .string($0) })
      ),
      ("ensure_weight_tying", .bool(tiesSavedModules)),
      ("init_lora_weights", true),
      ("inference_mode", true),
    ]
    let known = Set(members.map(\.key))
    members += otherKeys.members.filter { !known.contains($0.key) }
    return .object(JSONObject(members: members))
  }

  /// The bytes of `adapter_config.json`, keys in order as PEFT writes them.
  public var peftFile: [UInt8] {
    Array((peftJSON.serialized(indent: 2, sortedKeys: true) + "\n").utf8)
  }

  private func number(_ value: Double) -> JSONValue {
    Int(exactly: value).map { JSONValue($0) } ?? JSONValue(value)
  }

  private var targetModulesJSON: JSONValue {
    switch targetModules {
    case .names(let names): .array(names.map { .string($0) })
    case .pattern(let pattern): .string(pattern.text)
    case .allLinear: .string(TargetModules.allLinearName)
    }
  }

  private var excludedModulesJSON: JSONValue {
    switch excludedModules {
    case nil: .null
    case .names(let names): .array(names.map { .string($0) })
    case .pattern(let pattern): .string(pattern.text)
    }
  }
}
