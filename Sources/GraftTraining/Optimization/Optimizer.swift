/// How trained tensors follow their gradients.
public enum Optimizer: Sendable, Equatable {
  /// Adam with decoupled weight decay.
  case adamW(AdamW)
  /// Gradient descent with momentum.
  case sgd(SGD)
  /// Factored second moments, without a first one.
  case adafactor(Adafactor)
  /// The sign of a momentum.
  case lion(Lion)
  /// Orthogonalized momentum for matrices, AdamW for the rest.
  case muon(Muon)

  /// The optimizers by name.
  public enum Name: String, Sendable, CaseIterable {
    case adamW = "adamw"
    case sgd, adafactor, lion, muon
  }

  /// Which optimizer this is.
  public var name: Name {
    switch self {
    case .adamW: .adamW
    case .sgd: .sgd
    case .adafactor: .adafactor
    case .lion: .lion
    case .muon: .muon
    }
  }
}

extension Optimizer {
  /// An optimizer's settings by the names of the command's options; nil leaves the optimizer's default.
  public struct Options: Sendable, Equatable {
    /// Decay of the momentum buffer of SGD and Muon.
    public var momentum: Double?
    /// Whether SGD and Muon look ahead along the momentum.
    public var isNesterov: Bool?
    /// Decay of the first moment.
    public var beta1: Double?
    /// Decay of the second moment; of the momentum for Lion.
    public var beta2: Double?
    /// The term that keeps a division finite.
    public var epsilon: Double?
    /// Decay of the weights.
    public var weightDecay: Double?

    /// Describes settings; all are the optimizer's defaults at first.
    public init() {}
  }

  /// An optimizer with settings.
  ///
  /// - Throws: ``TrainingError/Reason/invalidSetting(name:expected:found:)`` that names a setting which the optimizer doesn't have, or
  ///   one out of range.
  public init(_ name: Name, _ options: Options = Options()) throws(TrainingError) {
    try options.checkKnown(to: name)
    let adamW = AdamW(
      beta1: options.beta1 ?? AdamW().beta1, beta2: options.beta2 ?? AdamW().beta2,
      epsilon: options.epsilon ?? AdamW().epsilon, weightDecay: options.weightDecay ?? 0)
    switch name {
    case .adamW: self = .adamW(adamW)
    case .sgd:
      self = .sgd(
        SGD(
          momentum: options.momentum ?? SGD().momentum, isNesterov: options.isNesterov ?? false,
          weightDecay: adamW.weightDecay))
    case .adafactor:
      self = .adafactor(
        Adafactor(
          epsilon: options.epsilon ?? Adafactor().epsilon, weightDecay: adamW.weightDecay))
    case .lion:
      self = .lion(
        Lion(
          beta1: options.beta1 ?? Lion().beta1, beta2: options.beta2 ?? Lion().beta2,
          weightDecay: adamW.weightDecay))
    case .muon:
      self = .muon(
        Muon(
          momentum: options.momentum ?? Muon().momentum, isNesterov: options.isNesterov ?? true,
          weightDecay: adamW.weightDecay, fallback: adamW))
    }
    try validate()
  }

  /// Every setting that decides the optimizer's numbers, by the names of the command's options.
  package var settings: [(name: String, value: String)] {
    let values: [(name: String, value: String)] =
      switch self {
      case .adamW(let rule): rule.settings
      case .sgd(let rule):
        [
          ("--momentum", "\(rule.momentum)"), ("--nesterov", "\(rule.isNesterov)"),
          ("--weight-decay", "\(rule.weightDecay)"),
        ]
      case .adafactor(let rule):
        [("--epsilon", "\(rule.epsilon)"), ("--weight-decay", "\(rule.weightDecay)")]
      case .lion(let rule):
        [
          ("--beta1", "\(rule.beta1)"), ("--beta2", "\(rule.beta2)"),
          ("--weight-decay", "\(rule.weightDecay)"),
        ]
      case .muon(let rule):
        [
          ("--momentum", "\(rule.momentum)"), ("--nesterov", "\(rule.isNesterov)"),
          ("learning rate adjustment", rule.adjustment.rawValue),
        ] + rule.fallback.settings
      }
    return [("--optimizer", name.rawValue)] + values
  }

  /// Checks every setting against its range.
  ///
  /// - Throws: ``TrainingError/Reason/invalidSetting(name:expected:found:)``.
  func validate() throws(TrainingError) {
    func check(
      _ name: String, _ value: Double, _ expected: String, _ isInRange: (Double) -> Bool
    ) throws(TrainingError) {
      guard value.isFinite, isInRange(value) else {
        throw TrainingError(.invalidSetting(name: name, expected: expected, found: "\(value)"))
      }
    }
    func checkDecays(_ names: [(String, Double)]) throws(TrainingError) {
      for (name, value) in names {
        try check(name, value, "0 or more and below 1") { (0..<1).contains($0) }
      }
    }
    func checkRest(epsilon: Double?, weightDecay: Double) throws(TrainingError) {
      if let epsilon { try check("epsilon", epsilon, "a positive number") { $0 > 0 } }
      try check("weight-decay", weightDecay, "0 or more") { $0 >= 0 }
    }
    switch self {
    case .adamW(let rule):
      try checkDecays([("beta1", rule.beta1), ("beta2", rule.beta2)])
      try checkRest(epsilon: rule.epsilon, weightDecay: rule.weightDecay)
    case .sgd(let rule):
      try checkDecays([("momentum", rule.momentum)])
      try checkRest(epsilon: nil, weightDecay: rule.weightDecay)
      if rule.isNesterov, rule.momentum == 0 {
        throw TrainingError(
          .invalidSetting(name: "momentum", expected: "above 0 with Nesterov", found: "0"))
      }
    case .adafactor(let rule):
      try checkRest(epsilon: rule.epsilon, weightDecay: rule.weightDecay)
    case .lion(let rule):
      try checkDecays([("beta1", rule.beta1), ("beta2", rule.beta2)])
      try checkRest(epsilon: nil, weightDecay: rule.weightDecay)
    case .muon(let rule):
      try checkDecays([
        ("momentum", rule.momentum), ("beta1", rule.fallback.beta1),
        ("beta2", rule.fallback.beta2),
      ])
      try checkRest(epsilon: rule.fallback.epsilon, weightDecay: rule.weightDecay)
    }
  }
}

extension AdamW {
  fileprivate var settings: [(name: String, value: String)] {
    [
      ("--beta1", "\(beta1)"), ("--beta2", "\(beta2)"), ("--epsilon", "\(epsilon)"),
      ("--weight-decay", "\(weightDecay)"),
    ]
  }
}

extension Optimizer.Options {
  /// Checks that an optimizer has every setting that is given.
  fileprivate func checkKnown(to optimizer: Optimizer.Name) throws(TrainingError) {
    let known: [String] =
      switch optimizer {
      case .adamW: ["beta1", "beta2", "epsilon"]
      case .sgd: ["momentum", "nesterov"]
      case .adafactor: ["epsilon"]
      case .lion: ["beta1", "beta2"]
      case .muon: ["momentum", "nesterov", "beta1", "beta2", "epsilon"]
      }
    let given: [(name: String, isGiven: Bool)] = [
      ("momentum", momentum != nil), ("nesterov", isNesterov != nil), ("beta1", beta1 != nil),
      ("beta2", beta2 != nil), ("epsilon", epsilon != nil),
    ]
    for (name, isGiven) in given where isGiven && !known.contains(name) {
      let all = (known + ["weight-decay"]).map { "--" + $0 }.joined(separator: ", ")
      throw TrainingError(
        .invalidSetting(
          name: "optimizer", expected: "an option of \(optimizer.rawValue)", found: "--\(name)"),
        remedy: "\(optimizer.rawValue) has \(all)")
    }
  }
}
