import ArgumentParser
import Graft

/// How the trained tensors follow their gradients.
struct OptimizerOptions: ParsableArguments {
  /// What `--optimizer` takes.
  enum Choice: String, ExpressibleByArgument, CaseIterable {
    case adamw, sgd, adafactor, lion, muon

    var name: Optimizer.Name {
      switch self {
      case .adamw: .adamW
      case .sgd: .sgd
      case .adafactor: .adafactor
      case .lion: .lion
      case .muon: .muon
      }
    }
  }

  @Option(name: .long, help: "How the trained tensors follow their gradients.")
  var optimizer = Choice.adamw

  @Option(name: .long, help: "Decay of the momentum of sgd (default 0.9) and muon (0.95).")
  var momentum: Double?

  @Flag(
    name: .long, inversion: .prefixedNo,
    help: "Look ahead along the momentum: sgd (default: no) and muon (yes).")
  var nesterov: Bool?

  @Option(
    name: .customLong("beta1"),
    help: "Decay of the first moment of adamw, lion and muon's adamw (default 0.9).")
  var beta1: Double?

  @Option(
    name: .customLong("beta2"),
    help:
      "Decay of the second moment of adamw and muon's (default 0.999); of lion's momentum (0.99)."
  )
  var beta2: Double?

  @Option(
    name: .long,
    help: "Keeps a division finite: adamw and muon's (default 1e-8), adafactor (1e-30).")
  var epsilon: Double?

  @Option(name: .long, help: "Weight decay; part of the gradient in sgd, apart from it elsewhere.")
  var weightDecay = 0.0

  @Option(name: .long, help: "Learning rate of B by that of A (LoRA+; default: 1).")
  var loraPlusRatio: Double?

  /// The optimizer that the options describe.
  ///
  /// - Throws: ``TrainingError`` for an option that the optimizer doesn't have.
  func chosen() throws -> Optimizer {
    var options = Optimizer.Options()
    options.momentum = momentum
    options.isNesterov = nesterov
    options.beta1 = beta1
    options.beta2 = beta2
    options.epsilon = epsilon
    options.weightDecay = weightDecay
    return try Optimizer(optimizer.name, options)
  }
}
