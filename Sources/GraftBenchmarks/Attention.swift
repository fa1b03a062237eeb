import Graft
import GraftCore
import GraftKernels

/// Times causal attention of SmolLM2's heads: a JSON object with the seconds of the fastest forward and backward pass.
struct Attention {
  let batch: Int
  let sequence: Int
  let dtype: DType
  let threads: Int

  func run() throws -> String {
    let kernels = Kernels(pool: ThreadPool(threadCount: threads))
    let shape = AttentionShape(
      batch: batch, sequence: sequence, heads: 9, keyValueHeads: 3, headDim: 64, scale: 0.125)
    let tokens = batch * sequence
    func tensors(_ columns: Int) throws -> [MemorySlice] {
      try (0..<4).map { seed in
        let values = (0..<tokens * columns).map { i in
          Float((i &* 2_654_435_761 &+ seed) >> 7 & 0xFFFF) / 32768 - 1
        }
        let slice = try MemorySlice(allocating: dtype, [tokens, columns])
        kernels.convert(try MemorySlice(copying: values, [tokens, columns]), to: slice)
        return slice
      }
    }
    let (wide, narrow) = (try tensors(shape.width), try tensors(shape.keyValueWidth))
    let sums = try MemorySlice(allocating: .f32, [tokens, shape.heads])
    let rounds = sequence > 4096 ? 3 : 15
    let forward = best(of: rounds) {
      kernels.attention(
        wide[0], narrow[0], narrow[1], into: wide[1], logSumExp: sums, shape: shape)
    }
    let backward = best(of: rounds) {
      kernels.attentionBackward(
        wide[0], narrow[0], narrow[1], wide[1], logSumExp: sums, outputGradient: wide[2],
        into: wide[3], narrow[2], narrow[3], shape: shape)
    }
    let result: JSONValue = ["forward": JSONValue(forward), "backward": JSONValue(backward)]
    return result.serialized(indent: nil)
  }

  /// The seconds of the fastest of some rounds, after one that isn't counted.
  private func best(of rounds: Int, _ work: () -> Void) -> Double {
    work()
    return (0..<rounds).map { _ in ContinuousClock().measure(work) / .seconds(1) }.min() ?? 0
  }
}
