/// A continued prompt.
public struct Generation: Sendable, Equatable {
  /// The prompt's tokens.
  public let promptTokens: [Int32]
  /// The tokens that followed; an end token isn't among them.
  public let tokens: [Int32]
  /// The text of `tokens`, up to the mark that ends an answer.
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
    _ prompt: Prompt, adapters: [Adapter] = [], maximumTokens: Int = 128,
    sampler: Sampler = Sampler(), receive: (String) -> Void = { _ in }
  ) throws -> Generation {
    try checkPositions(prompt.tokens.count, remedy: "give a shorter prompt")
    // Where positions have learned rows the text ends with the last of them.
    let room =
      configuration.hasLearnedPositions
      ? configuration.maximumPositions - prompt.tokens.count : maximumTokens
    let maximumTokens = min(maximumTokens, room)
    let attached = try AttachedAdapters(adapters, base: self)
    let model = try graph(attached)
    let generator = try Generator(
      model, adapters: attached.tensors,
      capacity: prompt.tokens.count + maximumTokens, kernels: kernels)
    var logits = try generator.read(prompt.tokens)
    var tokens: [Int32] = []
    var stream = TokenizerStream(tokenizer)
    var answer = TextBeforeMark(prompt.endMark)
    var text = ""
    func pass(_ piece: String) {
      guard !piece.isEmpty else { return }
      receive(piece)
      text += piece
    }
    var ended = false
    let began = ContinuousClock.now
    while tokens.count < maximumTokens {
      guard logits.allSatisfy(\.isFinite) else { throw notFinite("output", with: adapters) }
      let token = sampler.choose(logits, position: generator.length)
      ended = prompt.endTokens.contains(token)
      if ended { break }
      tokens.append(token)
      pass(answer.append(stream.append(token)))
      ended = answer.isFound
      if ended { break }
      if tokens.count < maximumTokens { logits = try generator.read([token]) }
    }
    pass(answer.append(stream.finish()))
    pass(answer.finish())
    let seconds = Double((ContinuousClock.now - began) / .nanoseconds(1)) / 1e9
    return Generation(
      promptTokens: prompt.tokens, tokens: tokens, text: text, endedByModel: ended,
      tokensPerSecond: Double(tokens.count) / max(seconds, 1e-9))
  }
}
