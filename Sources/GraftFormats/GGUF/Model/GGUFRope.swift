internal import Glibc
internal import GraftCore
internal import GraftKernels

/// Rotary scaling: what GGUF spreads over keys and a tensor, and the configuration has in one object.
package enum GGUFRope: Sendable, Equatable {
  case none
  case linear(factor: Float)
  case yarn(factor: Float, original: Int)
  case llama3(factor: Float, low: Double, high: Double, original: Int)

  /// Reads what a file says.
  init(
    _ source: GGUFReader, _ metadata: GGUFArchitectureKeys, theta: Float, headWidth: Int
  ) throws(StorageError) {
    if let tensor = source.index(of: Self.tensorName) {
      self = try Self.llama3(source, tensor, theta: theta, headWidth: headWidth)
      return
    }
    let type = metadata["rope.scaling.type"]?.string ?? "none"
    switch type {
    case "none": self = .none
    case "linear": self = .linear(factor: try metadata.float("rope.scaling.factor", else: nil))
    case "yarn":
      self = .yarn(
        factor: try metadata.float("rope.scaling.factor", else: nil),
        original: try metadata.integer("rope.scaling.original_context_length", in: 1...1 << 40))
    default:
      throw StorageError(
        .unsupported(feature: "rotary scaling (gguf M-4)", found: type), file: source.path)
    }
  }

  /// The tensor that holds Llama 3's factors.
  static let tensorName: TensorName = "rope_freqs.weight"

  /// The `rope_scaling` of the configuration; nil for none.
  var json: JSONValue? {
    switch self {
    case .none: nil
    case .linear(let factor):
      ["rope_type": "linear", "type": "linear", "factor": JSONValue(factor)]
    case .yarn(let factor, let original):
      [
        "rope_type": "yarn", "type": "yarn", "factor": JSONValue(factor),
        "original_max_position_embeddings": JSONValue(original),
      ]
    case .llama3(let factor, let low, let high, let original):
      [
        "rope_type": "llama3", "factor": JSONValue(factor), "low_freq_factor": JSONValue(low),
        "high_freq_factor": JSONValue(high),
        "original_max_position_embeddings": JSONValue(original),
      ]
    }
  }

  /// The keys of an architecture that say it, without their prefix.
  var entries: [(key: String, value: GGUFValue)] {
    switch self {
    case .none, .llama3: []
    case .linear(let factor):
      [("rope.scaling.type", .string("linear")), ("rope.scaling.factor", .float32(factor))]
    case .yarn(let factor, let original):
      [
        ("rope.scaling.type", .string("yarn")), ("rope.scaling.factor", .float32(factor)),
        ("rope.scaling.original_context_length", .unsigned(UInt64(original), bits: 32)),
      ]
    }
  }

  /// What each frequency is divided by, where a tensor says so: `[headWidth / 2]`.
  ///
  /// Llama 3 divides low frequencies by a factor, leaves high ones and goes smoothly between.
  func factors(theta: Float, headWidth: Int) -> [Float]? {
    guard case .llama3(let factor, let low, let high, let original) = self else { return nil }
    return (0..<headWidth / 2).map { position in
      let frequency = pow(Double(theta), -2 * Double(position) / Double(headWidth))
      let turns = Double(original) * frequency / (2 * Double.pi)
      let smooth = min(1, max(0, (turns - low) / (high - low)))
      return Float(1 / ((1 - smooth) / Double(factor) + smooth))
    }
  }

  /// Finds the parameters whose frequency factors the tensor holds.
  ///
  /// Only the original context length has to be found, since models have kept the bounds 1 and 4.
  private static func llama3(
    _ source: GGUFReader, _ tensor: Int, theta: Float, headWidth: Int
  ) throws(StorageError) -> GGUFRope {
    let count = source.tensors[tensor].shape.elementCount
    guard count == headWidth / 2, Quantization.supports(source.tensors[tensor].dtype) else {
      throw unknown(source, "\(count) factors")
    }
    var factors = [Float](repeating: 0, count: count)
    try factors.withMutableRawBytes { (bytes: inout MutableRawSpan) throws(StorageError) in
      try source.readValues(tensor, 0..<count, as: .f32, into: &bytes)
    }
    if factors.allSatisfy({ $0 == 1 }) { return .none }
    for original in [8192] + (5...20).map({ 1 << $0 }) {
      let rope = GGUFRope.llama3(factor: factors.max() ?? 1, low: 1, high: 4, original: original)
      let expected = rope.factors(theta: theta, headWidth: headWidth) ?? []
      let fits = zip(factors, expected).allSatisfy { abs($0 - $1) <= 1e-3 * $1 }
      if fits { return rope }
    }
    throw unknown(source, "factors that aren't Llama 3's")
  }

  private static func unknown(_ source: GGUFReader, _ found: String) -> StorageError {
    StorageError(
      .unsupported(feature: "rotary scaling (gguf M-4)", found: found), file: source.path,
      tensor: tensorName)
  }
}
