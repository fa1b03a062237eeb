import Graft
import GraftCore
import GraftKernels

/// Times the matrix products of a training step with frozen weights, and nothing else of it: what no step can beat.
///
/// Each linear module multiplies once forward and once backward (the gradient of its input); the output head does so in runs of
/// words, whose logits stay in the cache. Modules of one shape are timed once, in the median of the rounds.
struct Products {
  let model: String
  let batchSize: Int
  let sequenceLength: Int
  let precision: ComputePrecision

  private static let rounds = 5
  private static let wordsAtOnce = 4096

  /// A JSON object: seconds of a step's products, and their floating-point operations.
  func run() throws -> String {
    let model = try LanguageModel(self.model, precision: precision)
    let tokens = batchSize * sequenceLength
    var (seconds, operations) = (0.0, 0.0)
    var known: [Shape: Double] = [:]
    func add(_ weight: MemorySlice, times: Int) throws {
      if known[weight.shape] == nil { known[weight.shape] = try time(weight, tokens, model) }
      seconds += Double(times) * (known[weight.shape] ?? 0)
      operations += Double(times * tokens) * 4 * Double(weight.shape.elementCount)
    }
    for module in model.configuration.linearModules where !module.isOutputHead {
      try add(try model.weights[module.weight], times: 1)
    }
    let head = try model.weights[model.configuration.outputHead]
    let (words, width) = (head.shape[0], head.shape[1])
    let run = min(words, Self.wordsAtOnce)
    let part = MemorySlice(
      head.memory, at: head.byteOffset, dtype: head.dtype, shape: [run, width])
    try add(part, times: words / run)
    let result: JSONValue = [
      "seconds": JSONValue(seconds), "operations": JSONValue(operations),
    ]
    return result.serialized(indent: nil)
  }

  /// Seconds for x · Wᵀ and dy · W over all tokens.
  private func time(_ weight: MemorySlice, _ tokens: Int, _ model: LanguageModel) throws -> Double {
    let dtype = model.precision.dtype
    let x = try MemorySlice(allocating: dtype, [tokens, weight.shape[1]])
    let y = try MemorySlice(allocating: dtype, [tokens, weight.shape[0]])
    let times = (0...Self.rounds).map { _ in
      ContinuousClock().measure {
        model.kernels.gemm(x, transposed: false, weight, transposed: true, into: y)
        model.kernels.gemm(y, weight, into: x)
      } / .seconds(1)
    }
    // The first round touches fresh memory.
    return times.dropFirst().sorted()[Self.rounds / 2]
  }
}
