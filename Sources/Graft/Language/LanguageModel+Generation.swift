/// A continued prompt.
public struct Generation: Sendable, Equatable {
  /// The prompt's tokens.
  public let promptTokens: [Int32]
  /// The tokens that followed; an end token isn't among them.
  public let tokens: [Int32]
  /// The text of `tokens`.
  public let text: String
  /// Whether the model ended the text itself.
  public let endedByModel: Bool
  /// Generated tokens per second, after the prompt.
  public let tokensPerSecond: Double
}

extension LanguageModel {
  /// Continues a prompt, calling `receive` with each piece of text as soon as its bytes are complete.
  ///
  /// - Throws: ``AdapterError``, ``ModelError``, ``GraphError``.
  public func generate(
    _ prompt: String, adapters: [Adapter] = [], maximumTokens: Int = 128,
    sampler: Sampler = Sampler(), receive: (String) -> Void = { _ in }
  ) throws -> Generation {
    let promptTokens = tokenizer.encode(Array(prompt.utf8), addSpecialTokens: true)
    guard !promptTokens.isEmpty else {
      throw ModelError(
        .invalidValue(key: "prompt", expected: "at least one token", found: "nothing"),
        file: path, remedy: "give a --prompt with text")
    }
    try checkPositions(promptTokens.count, remedy: "give a shorter prompt")
    // Where positions have learned rows the text ends with the last of them.
    let room =
      configuration.hasLearnedPositions
      ? configuration.maximumPositions - promptTokens.count : maximumTokens
    let maximumTokens = min(maximumTokens, room)
    let attached = try AttachedAdapters(adapters, base: self)
    let model = try graph(attached)
    let generator = try Generator(
      model, adapters: attached.tensors,
      capacity: promptTokens.count + maximumTokens, kernels: kernels)
    var logits = try generator.read(promptTokens)
    var tokens: [Int32] = []
    var stream = TokenizerStream(tokenizer)
    var text = ""
    let ends = Set(configuration.endTokens.map(Int32.init))
    var ended = false
    let began = ContinuousClock.now
    while tokens.count < maximumTokens {
      guard logits.allSatisfy(\.isFinite) else {
        throw ModelError(
          .nonFinite("output"), file: path,
          remedy: "find the tensors at fault: graft verify \(path)")
      }
      let token = sampler.choose(logits, position: generator.length)
      if ends.contains(token) {
        ended = true
        break
      }
      tokens.append(token)
      let piece = stream.append(token)
      if !piece.isEmpty {
        receive(piece)
        text += piece
      }
      if tokens.count < maximumTokens { logits = try generator.read([token]) }
    }
    let rest = stream.finish()
    if !rest.isEmpty { receive(rest) }
    let seconds = Double((ContinuousClock.now - began) / .nanoseconds(1)) / 1e9
    return Generation(
      promptTokens: promptTokens, tokens: tokens, text: text + rest, endedByModel: ended,
      tokensPerSecond: Double(tokens.count) / max(seconds, 1e-9))
  }
}
