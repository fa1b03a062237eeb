/// Everything that training would do, known without a step.
public struct TrainingForecast: Sendable {
  /// The modules with an adapter.
  public let modules: [String]
  /// The probability that an element of an adapter's input is dropped.
  public let dropout: Double
  /// Tensors of the model that are trained whole.
  public let wholeTensors: [String]
  /// Trained values.
  public let parameterCount: Int
  /// Windows in the data.
  public let windowCount: Int
  /// Steps of the run.
  public let stepCount: Int
  /// Tokens of a step.
  public let tokensPerStep: Int
  /// Tile programs, kernels, chains and the bytes that pointwise work moves in one batch.
  public let report: CompilationReport
  /// Groups, buffers, stages and blocks.
  public let summary: CompilationSummary
  /// What will be in memory beside mapped weights.
  public let memory: MemoryForecast
  /// The arena of a batch.
  public let arenaBytes: Int
  /// Bytes of weights mapped from files.
  public let mappedBytes: Int
  /// Bytes of weights converted into memory.
  public let convertedBytes: Int
  /// Seconds that choosing what to keep and compiling the step took.
  public let planningSeconds: Double
  /// Seconds of a step, from measured rates of products, attention and memory.
  public let secondsPerStep: Double
}
