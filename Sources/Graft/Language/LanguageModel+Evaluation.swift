/// The loss of a model on a text.
public struct Evaluation: Sendable, Equatable {
  /// Mean nats per predicted token.
  public let loss: Double
  /// Predicted tokens.
  public let tokenCount: Int
  /// Examples of JSON lines.
  public let exampleCount: Int
  /// Examples that were cut, being longer than a window.
  public let cutCount: Int
  /// Predicted tokens per second, without the time to compile.
  public let tokensPerSecond: Double

  /// e to the loss.
  public var perplexity: Double { exp(loss) }
}

internal import Glibc

extension LanguageModel {
  /// The loss on text or JSON-lines files, in windows of `sequenceLength` tokens.
  ///
  /// - Throws: ``StorageError``, ``AdapterError``, ``TrainingError``, ``GraphError``.
  public func evaluate(
    _ files: [String], adapters: [Adapter] = [], data settings: DataSettings = DataSettings(),
    sequenceLength: Int = 512, batchSize: Int = 4,
    progress: (_ tokens: Int) -> Progress = { _ in .none }
  ) throws -> Evaluation {
    try checkPositions(sequenceLength, remedy: "give a smaller --sequence-length")
    let text = try tokenize(files, settings)
    let windows = try TokenWindows(
      text,
      TokenWindows.Filling(length: sequenceLength, packs: settings.packs, keepsTail: true))
    let attached = try AttachedAdapters(adapters, base: self)
    let model = try graph(attached)
    let evaluator = try Evaluator(
      model, adapters: attached.tensors, batchSize: min(batchSize, windows.count),
      sequence: sequenceLength, packs: settings.packs, kernels: kernels)
    let began = ContinuousClock.now
    let result = try evaluator.evaluate(
      windows, progress: progress(windows.targetCount))
    guard result.loss.isFinite else { throw notFinite("loss", with: adapters) }
    let seconds = Double((ContinuousClock.now - began) / .nanoseconds(1)) / 1e9
    return Evaluation(
      loss: result.loss, tokenCount: result.tokenCount, exampleCount: windows.exampleCount,
      cutCount: windows.cutCount,
      tokensPerSecond: Double(result.tokenCount) / max(seconds, 1e-9))
  }
}
