internal import GraftCore
internal import GraftGraph
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
  static let libraryBytes = 7 << 20
  static let libraryBytesPerThread = 2 << 20

  /// What a compiled graph's kernels need of each worker, in the largest of their purposes.
  static func scratch(_ compilation: Compilation, threads: Int, bf16: Bool) -> Int {
    let graph = compilation.graph
    var (task, chain) = (0, 0)
    for step in compilation.schedule.steps {
      if case .chain(let steps) = step { chain = max(chain, steps.scratch.arenaByteCount) }
      for place in step.kernels {
        let node = graph.nodes[place]
        guard case .crossEntropy = node.op else { continue }
        let (x, head) = (graph.type(of: node.inputs[0]), graph.type(of: node.inputs[1]))
        let isNarrow = bf16 && x.dtype == .bf16 && head.dtype == .bf16
        let room = CrossEntropyRoom(
          vocabulary: head.shape[0], hidden: head.shape[1], kept: isNarrow ? .bf16 : .f32)
        task = max(task, room.byteCount)
      }
    }
    return threads * (task + chain + libraryBytesPerThread) + libraryBytes
  }

  /// The bytes of the pages that a tensor of its own takes.
  static func pages(_ byteCount: Int) -> Int { (byteCount + 4095) / 4096 * 4096 }
}
