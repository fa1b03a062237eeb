package import GraftCore
internal import Glibc

/// Rotary position embedding: each pair of a head's halves turns by position × frequency.
///
/// Source: Su et al., arXiv 2104.09864; linear scaling divides all frequencies; llama3 scaling divides the low
/// ones and blends in between, as Llama 3.1's reference and transformers' `rope_type: llama3` do.
public struct RotaryEmbedding: Sendable, Equatable {
  /// How frequencies are adapted to longer texts.
  public enum Scaling: Sendable, Equatable {
    case none
    case linear(factor: Double)
    case llama3(
      factor: Double, lowFrequency: Double, highFrequency: Double, originalPositions: Double)
  }

  /// The base of the geometric series of frequencies, θ.
  public var theta: Double
  /// The scaling.
  public var scaling: Scaling
  /// Width of a head; there are half as many frequencies.
  public var headDimension: Int

  /// Radians per position for each pair: `[headDimension / 2]`.
  public var frequencies: [Float] {
    stride(from: 0, to: headDimension, by: 2).map { pair in
      let exponent = Float(pair) / Float(headDimension)
      return scaled(1 / powf(Float(theta), exponent))
    }
  }

  private func scaled(_ frequency: Float) -> Float {
    switch scaling {
    case .none: return frequency
    case .linear(let factor): return frequency / Float(factor)
    case .llama3(let factor, let low, let high, let original):
      let wavelength = 2 * Float.pi / frequency
      if wavelength > Float(original / low) { return frequency / Float(factor) }
      if wavelength < Float(original / high) { return frequency }
      let smooth = (Float(original) / wavelength - Float(low)) / Float(high - low)
      return (1 - smooth) * frequency / Float(factor) + smooth * frequency
    }
  }

  /// Cosines and sines for positions `0..<count`, each `[count, headDimension]` with both halves alike.
  ///
  /// - Throws: ``StorageError`` when memory runs out.
  package func tables(count: Int) throws(StorageError) -> (cosine: MemorySlice, sine: MemorySlice) {
    let frequencies = frequencies
    var cosines: [Float] = []
    var sines: [Float] = []
    cosines.reserveCapacity(count * headDimension)
    sines.reserveCapacity(count * headDimension)
    for position in 0..<count {
      let angles = frequencies.map { Float(position) * $0 }
      for _ in 0..<2 {
        cosines += angles.map { cosf($0) }
        sines += angles.map { sinf($0) }
      }
    }
    let shape = Shape(known: count, headDimension)
    return (try MemorySlice(copying: cosines, shape), try MemorySlice(copying: sines, shape))
  }
}

extension RotaryEmbedding {
  /// Reads `rope_theta` and `rope_scaling` (transformers 4) or `rope_parameters` (transformers 5).
  init(_ keys: ConfigurationKeys, headDimension: Int) throws(ModelError) {
    let present = ["rope_parameters", "rope_scaling"].first { keys.isPresent($0) }
    try self.init(
      parameters: present.flatMap { keys.json[$0] } ?? .null, file: keys.file,
      theta: try keys.number("rope_theta", default: 10000), headDimension: headDimension)
  }

  /// Reads one object of parameters; `theta` stands for a missing `rope_theta`.
  init(
    parameters nested: JSONValue, file: String, theta fallback: Double, headDimension: Int
  ) throws(ModelError) {
    self.headDimension = headDimension
    let rope = ConfigurationKeys(nested, file: file)
    theta = try rope.number("rope_theta", default: fallback)
    guard theta > 0 else {
      throw rope.invalid("rope_theta", expected: "a positive number", found: "\(theta)")
    }
    let type = nested["rope_type"]?.string ?? nested["type"]?.string ?? "default"
    switch type {
    case "default": scaling = .none
    case "linear": scaling = .linear(factor: try rope.above("factor", 0))
    case "llama3":
      let low = try rope.above("low_freq_factor", 0)
      scaling = .llama3(
        factor: try rope.above("factor", 0), lowFrequency: low,
        highFrequency: try rope.above("high_freq_factor", low),
        originalPositions: try rope.above("original_max_position_embeddings", 0))
    default: throw rope.unsupported("rotary scaling", found: type)
    }
  }
}
