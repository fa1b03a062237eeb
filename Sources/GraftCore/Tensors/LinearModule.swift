/// A linear module of a model, `y = x · Wᵀ` with W: [out, in]: the kind that low-rank updates attach to.
public struct LinearModule: Sendable, Hashable {
  /// The path, for example `model.layers.0.self_attn.q_proj`.
  public let path: String
  /// The extent of the output, `out` in W: [out, in].
  public let outputWidth: Int
  /// The extent of the input, `in` in W: [out, in].
  public let inputWidth: Int
  /// Whether the module makes the logits; `all-linear` leaves it out.
  public let isOutputHead: Bool

  /// Whether the checkpoint holds Wᵀ: [in, out], as GPT-2's do (PEFT's `fan_in_fan_out`).
  public let isStoredTransposed: Bool

  /// Describes a module.
  public init(
    path: String, outputWidth: Int, inputWidth: Int, isOutputHead: Bool = false,
    isStoredTransposed: Bool = false
  ) {
    self.path = path
    self.outputWidth = outputWidth
    self.inputWidth = inputWidth
    self.isOutputHead = isOutputHead
    self.isStoredTransposed = isStoredTransposed
  }

  /// The name of the weight.
  public var weight: TensorName { TensorName(path + ".weight") }

  /// The extents of the weight as the checkpoint holds it.
  public var weightShape: Shape {
    isStoredTransposed ? [inputWidth, outputWidth] : [outputWidth, inputWidth]
  }
}
