internal import Glibc

/// How the learning rate goes over the steps of a run: a linear warm-up, then a decay.
///
/// The formulas are those of transformers' `get_*_schedule`.
public struct LearningRateSchedule: Sendable, Equatable {
  /// The course after the warm-up.
  public enum Decay: String, Sendable, CaseIterable {
    /// Half a cosine down.
    case cosine
    /// A straight line down.
    case linear
    /// No decay.
    case constant
    /// Several half cosines, each from the peak (`get_cosine_with_hard_restarts_schedule_with_warmup`).
    case cosineRestarts = "cosine-restarts"
    /// A power of the steps that are left (`get_polynomial_decay_schedule_with_warmup`).
    case polynomial
    /// 1 / √step, scaled to begin at the peak (`get_inverse_sqrt_schedule`).
    case inverseSquareRoot = "inverse-sqrt"
    /// The peak, then half a cosine down over the last steps (`get_wsd_schedule`).
    case warmupStableDecay = "wsd"
  }

  /// What some courses are told besides; nil leaves the course's default.
  public struct Parameters: Sendable, Equatable {
    /// Half cosines of ``Decay/cosineRestarts``; 1 unless told.
    public var cycles: Int?
    /// The exponent of ``Decay/polynomial``; 1 unless told.
    public var power: Double?
    /// The last steps, in which ``Decay/warmupStableDecay`` goes down; a fifth of the run unless told.
    public var decaySteps: Int?
    /// The rate that the courses which go down end at; 0 unless told.
    public var minimumRate: Double?

    /// Describes parameters.
    public init(
      cycles: Int? = nil, power: Double? = nil, decaySteps: Int? = nil, minimumRate: Double? = nil
    ) {
      self.cycles = cycles
      self.power = power
      self.decaySteps = decaySteps
      self.minimumRate = minimumRate
    }
  }

  /// The rate at the end of the warm-up.
  public var peak: Double
  /// The course after the warm-up.
  public var decay: Decay
  /// Steps of the warm-up.
  public var warmupSteps: Int
  /// Steps of the whole run.
  public var totalSteps: Int
  /// What the course is told besides.
  public var parameters: Parameters

  /// Describes a schedule.
  public init(
    peak: Double, decay: Decay, warmupSteps: Int, totalSteps: Int,
    parameters: Parameters = Parameters()
  ) {
    self.peak = peak
    self.decay = decay
    self.warmupSteps = warmupSteps
    self.totalSteps = totalSteps
    self.parameters = parameters
  }

  /// The learning rate of a step, counted from 0.
  public func rate(at step: Int) -> Double {
    if step < warmupSteps { return peak * warmupFactor(Double(step) / Double(warmupSteps)) }
    let left = Double(max(1, totalSteps - warmupSteps))
    let progress = min(1, Double(step - warmupSteps) / left)
    switch decay {
    case .constant: return peak
    case .linear: return peak * aboveMinimum(1 - progress)
    case .cosine: return peak * aboveMinimum(Self.halfCosine(progress))
    case .cosineRestarts:
      guard progress < 1 else { return peak * aboveMinimum(0) }
      let place = (Double(parameters.cycles ?? 1) * progress)
        .truncatingRemainder(dividingBy: 1)
      return peak * aboveMinimum(Self.halfCosine(place))
    case .polynomial: return peak * aboveMinimum(pow(1 - progress, parameters.power ?? 1))
    case .inverseSquareRoot:
      let scale = warmupSteps > 0 ? warmupSteps : Self.scaleWithoutWarmup
      return peak / (Double(step + scale - warmupSteps) / Double(scale)).squareRoot()
    case .warmupStableDecay:
      let steps = decaySteps
      guard step >= totalSteps - steps else { return peak }
      let progress = min(1, Double(step - (totalSteps - steps)) / Double(max(1, steps)))
      return peak * aboveMinimum(Self.halfCosine(progress))
    }
  }

  /// The time scale of the inverse square root without a warm-up, as in transformers.
  private static let scaleWithoutWarmup = 10_000

  /// The steps in which ``Decay/warmupStableDecay`` goes down.
  var decaySteps: Int {
    parameters.decaySteps ?? min(max(1, totalSteps / 5), totalSteps - warmupSteps)
  }

  private static func halfCosine(_ progress: Double) -> Double {
    max(0, 0.5 * (1 + cos(Double.pi * progress)))
  }

  private var minimumFactor: Double { (parameters.minimumRate ?? 0) / peak }

  private func aboveMinimum(_ factor: Double) -> Double {
    factor * (1 - minimumFactor) + minimumFactor
  }

  /// transformers' warm-up of the stable schedule begins at the minimum, the others' at 0.
  private func warmupFactor(_ progress: Double) -> Double {
    decay == .warmupStableDecay ? aboveMinimum(progress) : progress
  }
}

extension LearningRateSchedule {
  /// Checks that the course knows the parameters which are given, and their ranges.
  ///
  /// - Throws: ``TrainingError/Reason/invalidSetting(name:expected:found:)``.
  func validate() throws(TrainingError) {
    func invalid(_ name: String, _ expected: String, _ found: String) -> TrainingError {
      TrainingError(.invalidSetting(name: name, expected: expected, found: found))
    }
    let goesDown = decay != .constant && decay != .inverseSquareRoot
    let given: [(name: String, isGiven: Bool, isKnown: Bool)] = [
      ("--cycles", parameters.cycles != nil, decay == .cosineRestarts),
      ("--power", parameters.power != nil, decay == .polynomial),
      ("--decay-steps", parameters.decaySteps != nil, decay == .warmupStableDecay),
      ("--minimum-rate", parameters.minimumRate != nil, goesDown),
    ]
    for option in given where option.isGiven && !option.isKnown {
      throw invalid("schedule", "an option of \(decay.rawValue)", option.name)
    }
    if let cycles = parameters.cycles, !(1...1_000_000).contains(cycles) {
      throw invalid("cycles", "1 to 1000000", "\(cycles)")
    }
    if let power = parameters.power, !(power > 0 && power.isFinite) {
      throw invalid("power", "a positive number", "\(power)")
    }
    if let steps = parameters.decaySteps, !(0...totalSteps - warmupSteps).contains(steps) {
      throw invalid("decay-steps", "0 to the \(totalSteps - warmupSteps) steps", "\(steps)")
    }
    if let rate = parameters.minimumRate, !(0...peak).contains(rate) {
      throw invalid("minimum-rate", "0 to the learning rate", "\(rate)")
    }
  }
}
