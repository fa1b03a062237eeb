import ArgumentParser
import Graft

/// What `--schedule` takes.
enum ScheduleOption: String, ExpressibleByArgument, CaseIterable {
  case cosine, linear, constant, polynomial, wsd
  case cosineRestarts = "cosine-restarts"
  case inverseSquareRoot = "inverse-sqrt"

  var decay: LearningRateSchedule.Decay {
    switch self {
    case .cosine: .cosine
    case .linear: .linear
    case .constant: .constant
    case .polynomial: .polynomial
    case .wsd: .warmupStableDecay
    case .cosineRestarts: .cosineRestarts
    case .inverseSquareRoot: .inverseSquareRoot
    }
  }
}

/// What `--warmup` takes: a number of steps, or a fraction with a decimal point.
struct Warmup: ExpressibleByArgument, CustomStringConvertible {
  var steps = 0
  var fraction: Double?

  init(steps: Int) { self.steps = steps }

  init?(argument: String) {
    if let steps = Int(argument) {
      self.init(steps: steps)
    } else {
      guard let fraction = Double(argument) else { return nil }
      self.init(steps: 0)
      self.fraction = fraction
    }
  }

  var description: String { fraction.map { "\($0)" } ?? "\(steps)" }
}

/// How long and how fast is trained.
struct ScheduleOptions: ParsableArguments {
  @Option(name: .long, help: "Optimizer steps (default: 100).")
  var steps: Int?

  @Option(name: .long, help: "Passes over the data, instead of --steps.")
  var epochs: Double?

  @Option(name: .long, help: "Windows in a batch.")
  var batchSize = 4

  @Option(name: .long, help: "Tokens in a window.")
  var sequenceLength = 512

  @Option(name: .long, help: "Batches whose gradients are summed before a step.")
  var accumulate = 1

  @Option(name: .long, help: "Peak learning rate.")
  var learningRate = 1e-3

  @Option(name: .long, help: "Course of the learning rate after the warm-up.")
  var schedule = ScheduleOption.cosine

  @Option(name: .long, help: "Half cosines of cosine-restarts (default: 1).")
  var cycles: Int?

  @Option(name: .long, help: "Exponent of polynomial (default: 1).")
  var power: Double?

  @Option(name: .long, help: "Last steps, in which wsd goes down (default: a fifth).")
  var decaySteps: Int?

  @Option(name: .long, help: "Rate that the courses which go down end at (default: 0).")
  var minimumRate: Double?

  @Option(name: .long, help: "Steps of linear warm-up, or a fraction of all steps.")
  var warmup = Warmup(steps: 0)

  @Option(name: .long, help: "Largest norm of all gradients together; 0 leaves them alone.")
  var clipNorm = 1.0

  func validate() throws {
    if steps != nil, epochs != nil {
      throw ValidationError("--steps and --epochs both say how long: give one of them")
    }
    if let epochs, !(epochs > 0 && epochs <= 1e6) {
      throw ValidationError("--epochs is above 0 and at most 1000000")
    }
    if !clipNorm.isFinite || clipNorm < 0 { throw ValidationError("--clip-norm is 0 or more") }
  }
}
