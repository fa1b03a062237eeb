internal import GraftCore

/// Trained tensors that share an update rule and a learning rate.
package struct ParameterGroup: Sendable {
  /// How its tensors change.
  package let rule: any UpdateRule
  /// What the schedule's learning rate is multiplied with.
  package let rateFactor: Double
  /// Tells groups apart, and names their scalars.
  package let name: String

  /// The group of a trained tensor.
  ///
  /// - Parameter loraPlusRatio: the learning rate of B by that of A (LoRA+, arXiv 2402.12354); as in PEFT, vectors go with B.
  init(
    of tensor: TensorName, shape: Shape, optimizer: Optimizer, loraPlusRatio: Double
  ) {
    let isFast = tensor.text.hasSuffix(".lora_B.weight") || shape.rank < 2
    rateFactor = isFast ? loraPlusRatio : 1
    switch optimizer {
    case .adamW(let adamW): rule = adamW
    case .sgd(let sgd): rule = sgd
    case .adafactor(let adafactor): rule = adafactor
    case .lion(let lion): rule = lion
    case .muon(let muon):
      let isInner = shape.rank == 2 && !Self.isTable(tensor)
      rule = isInner ? muon : muon.fallback
    }
    name = "\(type(of: rule))@\(rateFactor)"
  }

  /// Whether a tensor holds a row a token or a position, or is the output head.
  private static func isTable(_ tensor: TensorName) -> Bool {
    tensor.text.split(separator: ".").contains {
      $0.contains("embed") || ["lm_head", "wte", "wpe", "score"].contains($0)
    }
  }

  /// The name of one of the rule's scalars, unique in the run.
  func scalarName(_ scalar: String) -> TensorName { TensorName(name + "." + scalar) }
}
