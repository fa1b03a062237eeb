internal import GraftCore

/// The numbers that describe a model, read from the metadata and checked, or from a configuration.
package struct GGUFParameters: Sendable {
  package enum Architecture: String, Sendable {
    case llama, qwen2, qwen3, gemma3, gpt2

    /// The files' names for all that convert.
    static let names = "llama, qwen2, qwen3, gemma3, gpt2"
  }

  package var architecture: Architecture
  package var hidden: Int
  package var intermediate: Int
  package var layers: Int
  package var heads: Int
  package var keyValueHeads: Int
  package var headWidth: Int
  package var vocabulary: Int
  package var context: Int
  package var normEpsilon: Float
  package var ropeTheta: Float
  package var ropeScaling = GGUFRope.none
  /// The window of Mistral's layers, or of those that ``slidingLayers`` says.
  package var slidingWindow: Int?
  /// For each layer of Gemma 3 whether it has the window.
  package var slidingLayers: [Bool]?
  /// The base of the frequencies of Gemma 3's layers with a window.
  package var localRopeTheta: Float = 10000
  package var isTied: Bool
  package var hasAttentionBias = false
  package var hasFeedForwardBias = false

  /// As many blocks as llama.cpp takes.
  package static let maximumLayers = 512

  /// Takes over what a configuration says.
  package init(
    _ architecture: Architecture, hidden: Int, intermediate: Int, layers: Int, heads: Int,
    keyValueHeads: Int, headWidth: Int, vocabulary: Int, context: Int, normEpsilon: Float,
    ropeTheta: Float, isTied: Bool
  ) {
    self.architecture = architecture
    self.hidden = hidden
    self.intermediate = intermediate
    self.layers = layers
    self.heads = heads
    self.keyValueHeads = keyValueHeads
    self.headWidth = headWidth
    self.vocabulary = vocabulary
    self.context = context
    self.normEpsilon = normEpsilon
    self.ropeTheta = ropeTheta
    self.isTied = isTied
  }

  init(_ source: GGUFReader) throws(StorageError) {
    let name = source["general.architecture"]?.string ?? "none"
    guard let architecture = Architecture(rawValue: name) else {
      throw StorageError(
        .unsupported(feature: "architecture (gguf M-1)", found: name), file: source.path,
        remedy: "architectures that convert: " + Architecture.names)
    }
    let metadata = GGUFArchitectureKeys(source: source, prefix: name + ".")
    let names = Set(source.tensors.map(\.name))
    self.architecture = architecture
    layers = try metadata.integer("block_count", in: 1...Self.maximumLayers)
    hidden = try metadata.integer("embedding_length", in: 1...1 << 24)
    intermediate = try metadata.integer("feed_forward_length", in: 1...1 << 28)
    heads = try metadata.integer("attention.head_count", in: 1...1 << 16)
    keyValueHeads = try metadata.integer("attention.head_count_kv", in: 1...heads, else: heads)
    context = try metadata.integer("context_length", in: 1...1 << 40)
    let rotated = try metadata.integer(
      "rope.dimension_count", in: 2...1 << 16, else: hidden / heads)
    headWidth = try metadata.integer("attention.key_length", in: 2...1 << 16, else: rotated)
    normEpsilon = try metadata.float(
      architecture == .gpt2 ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon",
      else: nil)
    ropeTheta = try metadata.float("rope.freq_base", else: architecture == .gemma3 ? 1e6 : 10000)
    localRopeTheta = try metadata.float("rope.freq_base_swa", else: 10000)
    slidingWindow =
      metadata["attention.sliding_window"] == nil
      ? nil : try metadata.integer("attention.sliding_window", in: 0...1 << 40)
    guard heads % keyValueHeads == 0, headWidth % 2 == 0 else {
      throw metadata.violation(
        "attention.head_count", expected: "a multiple of the key-value heads, and an even head",
        found: "\(heads) heads, \(keyValueHeads) key-value heads, \(headWidth) wide")
    }
    guard rotated == headWidth,
      try metadata.integer("attention.value_length", in: 1...1 << 16, else: headWidth) == headWidth
    else {
      throw StorageError(
        .unsupported(feature: "head (gguf M-2)", found: "key, value and rotary widths that differ"),
        file: source.path)
    }
    guard try metadata.integer("expert_count", in: 0...1 << 16, else: 0) == 0 else {
      throw StorageError(
        .unsupported(feature: "model (gguf M-1)", found: "a mixture of experts"), file: source.path)
    }
    guard let embedding = source.index(of: "token_embd.weight") else {
      throw StorageError(
        .malformed(rule: "gguf M-3", expected: "the tensor", found: "none"), file: source.path,
        tensor: "token_embd.weight")
    }
    vocabulary = source.tensors[embedding].shape.rows
    isTied = !names.contains("output.weight")
    slidingLayers =
      architecture == .gemma3 ? try Self.slidingLayers(metadata, count: layers) : nil
    hasAttentionBias = architecture != .gpt2 && names.contains("blk.0.attn_q.bias")
    hasFeedForwardBias = architecture == .llama && names.contains("blk.0.ffn_gate.bias")
    ropeScaling =
      architecture == .gpt2
      ? .none : try GGUFRope(source, metadata, theta: ropeTheta, headWidth: headWidth)
  }

  /// Which layers of Gemma 3 have a window: a flag for each, or every one but each n-th.
  private static func slidingLayers(
    _ metadata: GGUFArchitectureKeys, count: Int
  ) throws(StorageError) -> [Bool] {
    let key = "attention.sliding_window_pattern"
    if case .array(.bools(let flags)) = metadata[key] {
      guard flags.count >= count else {
        throw metadata.violation(
          key, expected: "a flag for each of \(count) layers", found: "\(flags.count)")
      }
      return Array(flags.prefix(count))
    }
    let period = try metadata.integer(key, in: 1...1 << 16, else: 6)
    guard metadata["attention.sliding_window"] != nil else {
      return [Bool](repeating: false, count: count)
    }
    return (1...count).map { $0 % period != 0 }
  }
}

/// The keys of an architecture.
struct GGUFArchitectureKeys {
  let source: GGUFReader
  let prefix: String

  subscript(_ key: String) -> GGUFValue? { source[prefix + key] }

  /// A whole number within bounds.
  func integer(
    _ key: String, in bounds: ClosedRange<Int>, else fallback: Int? = nil
  ) throws(StorageError) -> Int {
    if self[key] == nil, let fallback { return fallback }
    guard let value = self[key]?.int, bounds.contains(value) else {
      throw violation(
        key, expected: "an integer from \(bounds.lowerBound) to \(bounds.upperBound)",
        found: self[key]?.description ?? "none")
    }
    return value
  }

  /// A positive finite number.
  func float(_ key: String, else fallback: Float?) throws(StorageError) -> Float {
    if self[key] == nil, let fallback { return fallback }
    guard case .float32(let value) = self[key], value.isFinite, value > 0 else {
      throw violation(
        key, expected: "a positive f32", found: self[key]?.description ?? "none")
    }
    return value
  }

  func violation(_ key: String, expected: String, found: String) -> StorageError {
    StorageError(
      .malformed(rule: "gguf M-2", expected: "\(prefix)\(key): \(expected)", found: found),
      file: source.path)
  }
}
