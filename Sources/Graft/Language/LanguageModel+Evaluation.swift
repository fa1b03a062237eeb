/// The loss of a model on a text.
public struct Evaluation: Sendable, Equatable {
  /// Mean nats per predicted token.
  public let loss: Double
  /// Predicted tokens.
  public let tokenCount: Int
  /// Predicted tokens per second, without the time to compile.
  public let tokensPerSecond: Double

  /// e to the loss.
  public var perplexity: Double { exp(loss) }
}

internal import Glibc

extension LanguageModel {
  /// The loss on text or JSON-lines files, cut into windows of `sequenceLength` tokens.
  ///
  /// - Throws: ``StorageError``, ``AdapterError``, ``TrainingError``, ``GraphError``.
  public func evaluate(
    _ files: [String], adapters: [Adapter] = [], form: TokenizedText.Form? = nil,
    masksPrompt: Bool = false, sequenceLength: Int = 512, batchSize: Int = 4,
    progress: (_ windowTokens: Int) -> Progress = { _ in .none }
  ) throws -> Evaluation {
    try checkPositions(sequenceLength, remedy: "give a smaller --sequence-length")
    let text = try tokenize(files, form: form, masksPrompt: masksPrompt)
    let windows = try TokenWindows(text, length: sequenceLength)
    let attached = try AttachedAdapters(adapters, base: self)
    let model = try graph(attached)
    let evaluator = try Evaluator(
      model, adapters: attached.tensors, batchSize: min(batchSize, windows.count),
      sequence: sequenceLength, kernels: kernels)
    let began = ContinuousClock.now
    let result = try evaluator.evaluate(
      windows, progress: progress(windows.count * (sequenceLength - 1)))
    guard result.loss.isFinite else {
      throw ModelError(
        .nonFinite("loss"), file: path, remedy: "find the tensors at fault: graft verify \(path)")
    }
    let seconds = Double((ContinuousClock.now - began) / .nanoseconds(1)) / 1e9
    return Evaluation(
      loss: result.loss, tokenCount: result.tokenCount,
      tokensPerSecond: Double(result.tokenCount) / max(seconds, 1e-9))
  }
}
