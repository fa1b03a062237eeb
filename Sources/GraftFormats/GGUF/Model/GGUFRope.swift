internal import Glibc
internal import GraftCore
internal import GraftKernels

/// Rotary scaling: what GGUF spreads over keys and a tensor, as one object of the configuration.
enum GGUFRope {
  /// The `rope_scaling` of the configuration; nil for none.
  static func scaling(
    _ source: GGUFReader, _ metadata: GGUFArchitectureKeys, theta: Float, headWidth: Int
  ) throws(StorageError) -> JSONValue? {
    if let tensor = source.index(of: "rope_freqs.weight") {
      return try llama3(source, tensor, theta: theta, headWidth: headWidth)
    }
    let type = metadata["rope.scaling.type"]?.string ?? "none"
    switch type {
    case "none": return nil
    case "linear":
      let factor = try metadata.float("rope.scaling.factor", else: nil)
      return ["rope_type": "linear", "type": "linear", "factor": JSONValue(factor)]
    case "yarn":
      let factor = try metadata.float("rope.scaling.factor", else: nil)
      let original = try metadata.integer("rope.scaling.original_context_length", in: 1...1 << 40)
      return [
        "rope_type": "yarn", "type": "yarn", "factor": JSONValue(factor),
        "original_max_position_embeddings": JSONValue(original),
      ]
    default:
      throw StorageError(
        .unsupported(feature: "rotary scaling (gguf M-4)", found: type), file: source.path)
    }
  }

  /// Finds the parameters whose frequency factors the tensor holds.
  ///
  /// Llama 3 divides low frequencies by a factor, leaves high ones and goes smoothly between; only the original
  /// context length has to be found, since models have kept the bounds 1 and 4.
  private static func llama3(
    _ source: GGUFReader, _ tensor: Int, theta: Float, headWidth: Int
  ) throws(StorageError) -> JSONValue? {
    let count = source.tensors[tensor].shape.elementCount
    guard count == headWidth / 2, Quantization.supports(source.tensors[tensor].dtype) else {
      throw unknown(source, "\(count) factors")
    }
    var factors = [Float](repeating: 0, count: count)
    try factors.withMutableRawBytes { (bytes: inout MutableRawSpan) throws(StorageError) in
      try source.readValues(tensor, 0..<count, as: .f32, into: &bytes)
    }
    let factor = factors.max() ?? 1
    if factors.allSatisfy({ $0 == 1 }) { return nil }
    for original in [8192] + (5...20).map({ 1 << $0 }) {
      let expected = (0..<count).map { position in
        let frequency = pow(Double(theta), -2 * Double(position) / Double(headWidth))
        let turns = Double(original) * frequency / (2 * Double.pi)
        let smooth = min(1, max(0, (turns - 1) / 3))
        return 1 / ((1 - smooth) / Double(factor) + smooth)
      }
      let fits = zip(factors, expected).allSatisfy { abs(Double($0) - $1) <= 1e-3 * $1 }
      guard fits else { continue }
      return [
        "rope_type": "llama3", "factor": JSONValue(factor), "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": JSONValue(original),
      ]
    }
    throw unknown(source, "factors that aren't Llama 3's")
  }

  private static func unknown(_ source: GGUFReader, _ found: String) -> StorageError {
    StorageError(
      .unsupported(feature: "rotary scaling (gguf M-4)", found: found), file: source.path,
      tensor: "rope_freqs.weight")
  }
}
