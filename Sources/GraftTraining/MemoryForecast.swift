internal import GraftKernels

/// What a run will hold in memory beside mapped weights, known before its first step.
public struct MemoryForecast: Sendable, Equatable {
  /// What the process holds already: code and tables of libraries, tokenizer, tokens, converted weights, the trained values.
  public var baselineBytes = 0
  /// Gradients and the optimizer's moments.
  public var stateBytes = 0
  /// Intermediate values of the step, of the update and of validation.
  public var arenaBytes = 0
  /// What the threads work in.
  public var scratchBytes = 0

  /// The most that will be resident.
  public var peakBytes: Int { baselineBytes + stateBytes + arenaBytes + scratchBytes }

  /// Room for what libraries make when they are first used: compiled kernels, buffers for packing, stacks; measured.
  private static let libraryBytes = 7 << 20
  private static let libraryBytesPerThread = 2 << 20

  /// What threads work in: the kernels' scratch, and what libraries take.
  static func scratch(_ need: ScratchNeed, threads: Int) -> Int {
    need.byteCount(threads: threads) + threads * libraryBytesPerThread + libraryBytes
  }
}
