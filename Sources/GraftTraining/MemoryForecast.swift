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

  /// Room for what libraries make when they are first used: compiled kernels, stacks, small allocations; measured with some to spare.
  private static let libraryBytes = 2 << 20
  private static let libraryBytesPerThread = 5 << 18
  /// What some runs in f32 took besides and equal ones didn't; measured, its cause isn't known.
  private static let wideBytes = 7 << 19
  /// What OpenBLAS touches of a thread's buffer.
  private static let packingBytesPerThread = 3 << 20

  /// What threads work in: the kernels' scratch, and what libraries take.
  static func scratch(_ need: ScratchNeed, threads: Int) -> Int {
    let ofThread = libraryBytesPerThread + (need.usesBLAS ? packingBytesPerThread : 0)
    return need.byteCount(threads: threads) + threads * ofThread + libraryBytes
      + (need.multipliesWide ? wideBytes : 0)
  }

  /// What saving takes, and small allocations beside each tensor: little beside an adapter's, more where a whole model trains; measured.
  static func saving(_ stateBytes: Int) -> Int { min(max(0, stateBytes - 8 << 20) / 6, 12 << 20) }
}
