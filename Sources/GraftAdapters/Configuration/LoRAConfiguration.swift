public import GraftCore

/// How a base is adapted by low-rank updates: ΔW = scaling · B · A for the targeted modules.
///
/// Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, 2021.
/// A: [rank, in]  B: [out, rank]. The scaling is derived from alpha and rank, never stored.
public struct LoRAConfiguration: Sendable, Equatable {
  /// The rank of the updates.
  public var rank: Int
  /// The numerator of the scaling.
  public var alpha: Double
  /// Which modules get an update.
  public var targetModules: TargetModules
  /// Which of them don't after all.
  public var excludedModules: ModuleSelection?
  /// The only layers that take part, by their number in the module's path; nil for all.
  public var layers: [Int]?
  /// Names of the list that the layer number follows; empty for the first number in the path.
  public var layersPatterns: [ModulePattern] = []
  /// Ranks of particular modules; the first override whose pattern matches counts.
  public var rankOverrides: [ModuleOverride<Int>] = []
  /// Alphas of particular modules; the first override whose pattern matches counts.
  public var alphaOverrides: [ModuleOverride<Double>] = []
  /// Whether the scaling is alpha / √rank (Kalajdzievski 2023) instead of alpha / rank.
  public var usesRSLoRA = false
  /// The probability that an element of A's input is dropped in training.
  public var dropout: Double
  /// Modules that are trained whole and saved with the adapter.
  public var modulesToSave: [String] = []
  /// Whether a tensor that the base shares between embedding and head stays shared when it is saved whole (PEFT's
  /// `ensure_weight_tying`).
  public var tiesSavedModules = false
  /// Whether the base keeps its weights as [in, out], as GPT-2 does.
  public var isFanInFanOut = false
  /// What the model is for, in PEFT's words.
  public var taskType: String? = "CAUSAL_LM"
  /// The base that the adapter belongs to.
  public var baseModelName: String?
  /// Keys of a configuration file that have no meaning here, kept for writing.
  public var otherKeys = JSONObject(members: [])

  /// Describes an adaptation.
  ///
  /// - Precondition: the rank is positive.
  public init(
    rank: Int = 8, alpha: Double = 16, targetModules: TargetModules, dropout: Double = 0
  ) {
    precondition(rank > 0, "a rank is positive")
    self.rank = rank
    self.alpha = alpha
    self.targetModules = targetModules
    self.dropout = dropout
  }

  /// The rank of a module's update.
  public func rank(of module: String) -> Int {
    rankOverrides.first { $0.applies(to: module) }?.value ?? rank
  }

  /// The alpha of a module's update.
  public func alpha(of module: String) -> Double {
    alphaOverrides.first { $0.applies(to: module) }?.value ?? alpha
  }

  /// The factor of a module's B · A.
  public func scaling(of module: String) -> Double {
    let rank = Double(rank(of: module))
    return alpha(of: module) / (usesRSLoRA ? rank.squareRoot() : rank)
  }
}

/// A value for the modules whose path, or its end after a dot, matches an expression.
public struct ModuleOverride<Value: Sendable & Equatable>: Sendable, Equatable {
  /// The expression as written.
  public let key: String
  /// The value.
  public let value: Value
  private let pattern: ModulePattern

  /// Makes an override.
  ///
  /// - Throws: ``AdapterError/Reason/invalidPattern(pattern:position:problem:)``.
  public init(_ key: String, _ value: Value) throws(AdapterError) {
    // Parentheses of its own could close the ones around it.
    _ = try ModulePattern(key)
    pattern = try ModulePattern("(.*\\.)?(" + key + ")")
    self.key = key
    self.value = value
  }

  /// What the expression takes.
  var cost: Int { pattern.cost }

  /// Whether the override is for a module.
  public func applies(to module: String) -> Bool { pattern.matches(module) }
}
