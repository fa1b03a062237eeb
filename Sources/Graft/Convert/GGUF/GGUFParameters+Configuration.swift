internal import GraftCore
internal import GraftFormats
internal import GraftModels

extension GGUFParameters {
  /// Reads what GGUF says of a model from its configuration.
  ///
  /// - Throws: ``StorageError/Reason/notRepresentable(what:inFormat:)`` for a feature without a key, which would change what is computed.
  init(_ configuration: any DecoderArchitecture, file: String) throws(StorageError) {
    guard configuration.layerCount <= Self.maximumLayers else {
      throw Self.unspeakable("\(configuration.layerCount) layers", file)
    }
    switch configuration {
    case let llama as LlamaConfiguration: self = try Self(llama, file: file)
    case let gemma as Gemma3Configuration: self = try Self(gemma, file: file)
    case let gpt2 as GPT2Configuration: self = try Self(gpt2, file: file)
    default: throw Self.unspeakable("the architecture of \(type(of: configuration))", file)
    }
  }

  private static func unspeakable(_ what: String, _ file: String) -> StorageError {
    StorageError(.notRepresentable(what: what, inFormat: "GGUF"), file: file)
  }

  private init(_ model: LlamaConfiguration, file: String) throws(StorageError) {
    let architecture: Architecture =
      switch model.member {
      case .llama, .mistral: .llama
      case .qwen2: .qwen2
      case .qwen3: .qwen3
      }
    self.init(
      architecture, hidden: model.hiddenSize, intermediate: model.intermediateSize,
      layers: model.layerCount, heads: model.headCount, keyValueHeads: model.keyValueHeadCount,
      headWidth: model.headDimension, vocabulary: model.vocabularySize,
      context: model.maximumPositions, normEpsilon: model.normEpsilon,
      ropeTheta: Float(model.rotary.theta), isTied: model.tiesEmbeddings)
    ropeScaling = try Self.scaling(model.rotary, file: file)
    hasAttentionBias = model.hasQueryKeyValueBias
    hasFeedForwardBias = model.hasFeedForwardBias
    if let window = model.windows.lazy.compactMap({ $0 }).first {
      guard model.member == .mistral else {
        throw Self.unspeakable("layers of \(model.member.rawValue) with a sliding window", file)
      }
      slidingWindow = window
    }
    guard architecture == .llama || !hasFeedForwardBias else {
      throw Self.unspeakable("biases of \(model.member.rawValue)'s feed-forward network", file)
    }
  }

  private init(_ model: Gemma3Configuration, file: String) throws(StorageError) {
    self.init(
      .gemma3, hidden: model.hiddenSize, intermediate: model.intermediateSize,
      layers: model.layerCount, heads: model.headCount, keyValueHeads: model.keyValueHeadCount,
      headWidth: model.headDimension, vocabulary: model.vocabularySize,
      context: model.maximumPositions, normEpsilon: model.normEpsilon,
      ropeTheta: Float(model.rotary.theta), isTied: model.tiesEmbeddings)
    ropeScaling = try Self.scaling(model.rotary, file: file)
    if model.isSliding.contains(true) { slidingWindow = model.window }
    slidingLayers = model.isSliding
    localRopeTheta = Float(model.localRotary.theta)
    guard model.localRotary.scaling == .none else {
      throw Self.unspeakable("rotary scaling of layers with a window", file)
    }
    guard model.queryScalar == Double(gemmaQueryScalar) else {
      throw Self.unspeakable(
        "scores divided by √\(model.queryScalar), only by √\(gemmaQueryScalar) in this shape", file)
    }
    guard !model.hasAttentionBias else {
      throw Self.unspeakable("biases of Gemma's attention", file)
    }
  }

  private init(_ model: GPT2Configuration, file: String) throws(StorageError) {
    self.init(
      .gpt2, hidden: model.hiddenSize, intermediate: model.intermediateSize,
      layers: model.layerCount, heads: model.headCount, keyValueHeads: model.headCount,
      headWidth: model.hiddenSize / model.headCount, vocabulary: model.vocabularySize,
      context: model.maximumPositions, normEpsilon: model.normEpsilon, ropeTheta: 10000,
      isTied: model.tiesEmbeddings)
    guard model.scalesScores, !model.scalesByLayer else {
      throw Self.unspeakable("scores that aren't divided by the root of a head's width", file)
    }
    guard model.activation == .geluTanh else {
      throw Self.unspeakable("the activation \(model.activation) of GPT-2", file)
    }
  }

  private static func scaling(
    _ rotary: RotaryEmbedding, file: String
  ) throws(StorageError) -> GGUFRope {
    switch rotary.scaling {
    case .none: return .none
    case .linear(let factor): return .linear(factor: Float(factor))
    case .llama3(let factor, let low, let high, let original):
      guard let positions = Int(exactly: original) else {
        throw unspeakable("rotary scaling from \(original) positions", file)
      }
      return .llama3(factor: Float(factor), low: low, high: high, original: positions)
    }
  }
}
