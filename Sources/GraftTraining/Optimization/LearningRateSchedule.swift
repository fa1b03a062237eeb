internal import Glibc

/// How the learning rate goes over the steps of a run: a linear warm-up, then a decay.
///
/// The formulas are transformers' `get_{cosine,linear,constant}_schedule_with_warmup`.
public struct LearningRateSchedule: Sendable, Equatable {
  /// The course after the warm-up.
  public enum Decay: String, Sendable, CaseIterable {
    /// Half a cosine down to zero.
    case cosine
    /// A straight line down to zero.
    case linear
    /// No decay.
    case constant
  }

  /// The rate at the end of the warm-up.
  public var peak: Double
  /// The course after the warm-up.
  public var decay: Decay
  /// Steps of the warm-up.
  public var warmupSteps: Int
  /// Steps of the whole run.
  public var totalSteps: Int

  /// Describes a schedule.
  public init(peak: Double, decay: Decay, warmupSteps: Int, totalSteps: Int) {
    self.peak = peak
    self.decay = decay
    self.warmupSteps = warmupSteps
    self.totalSteps = totalSteps
  }

  /// The learning rate of a step, counted from 0.
  public func rate(at step: Int) -> Double {
    if step < warmupSteps { return peak * Double(step) / Double(max(1, warmupSteps)) }
    let progress = Double(step - warmupSteps) / Double(max(1, totalSteps - warmupSteps))
    switch decay {
    case .constant: return peak
    case .linear: return peak * max(0, 1 - progress)
    case .cosine: return peak * max(0, 0.5 * (1 + cos(Double.pi * progress)))
    }
  }
}
