import GraftCore
import GraftKernels
import Testing

@Suite struct CrossEntropyTests {
  static let (tokens, hidden, vocab) = (37, 24, 5000)

  struct Run {
    let losses, xGradient, headGradient: MemorySlice

    init(_ kernels: Kernels, _ dtype: DType) throws {
      let (tokens, hidden, vocab) = (
        CrossEntropyTests.tokens, CrossEntropyTests.hidden, CrossEntropyTests.vocab
      )
      let x = try MemorySlice(wave(tokens * hidden, phase: 0.2, scale: 2), dtype, [tokens, hidden])
      let head = try MemorySlice(
        wave(vocab * hidden, phase: 0.7, scale: 1), dtype, [vocab, hidden])
      let ids = (0..<tokens).map { $0 == 5 ? -100 : Float($0 * 811 % vocab) }
      let targets = try MemorySlice(ids, .i32, [tokens])
      let weights = try MemorySlice(wave(tokens, phase: 0.3, scale: 1), .f32, [tokens])
      losses = try MemorySlice(zeros: .f32, [tokens])
      xGradient = try MemorySlice(zeros: dtype, [tokens, hidden])
      headGradient = try MemorySlice(zeros: .f32, [vocab, hidden])
      kernels.crossEntropy(x, head: head, targets: targets, losses: losses, xGradient: xGradient)
      kernels.crossEntropyHeadGradient(
        x, head: head, targets: targets, lossGradient: weights, into: headGradient,
        accumulate: false)
    }
  }

  @Test(arguments: [(DType.f32, Float(5e-6)), (.bf16, 0.02)], SIMDLevel.allCases)
  func `losses and gradients are PyTorch's`(precision: (DType, Float), simd: SIMDLevel) throws {
    let run = try Run(kernels(threads: 2, simd), precision.0)
    let expected = try golden("cross_entropy.f32")
    let dx = Self.tokens..<Self.tokens * (1 + Self.hidden)
    #expect(relativeError(run.losses.values, Array(expected[..<Self.tokens])) < precision.1)
    #expect(relativeError(run.xGradient.values, Array(expected[dx])) < precision.1)
    let headGradient = run.headGradient.values
    let column = (0..<Self.vocab).map { headGradient[$0 * Self.hidden + 3] }
    #expect(relativeError(column, Array(expected[dx.upperBound...])) < precision.1)
  }

  @Test(arguments: [DType.f32, .bf16])
  func `gives the same bits on any number of threads`(dtype: DType) throws {
    let images = try [1, 2, 3, 4].map { threads in
      let run = try Run(kernels(threads: threads), dtype)
      return [run.losses.image, run.xGradient.image, run.headGradient.image]
    }
    #expect(images.allSatisfy { $0 == images[0] })
  }

  @Test func `rows are gathered, and scattered in order`() throws {
    let kernels = kernels(threads: 3)
    let table = try MemorySlice((0..<30).map(Float.init), .bf16, [10, 3])
    let ids = try MemorySlice([9, 0, 9, 4], .i32, [4])
    let rows = try MemorySlice(zeros: .f32, [4, 3])
    kernels.gatherRows(table, ids: ids, into: rows)
    #expect(rows.values == [27, 28, 29, 0, 1, 2, 27, 28, 29, 12, 13, 14])
    let sums = try MemorySlice(zeros: .f32, [10, 3])
    kernels.scatterAddRows(rows, ids: ids, into: sums)
    #expect(Array(sums.values[27...]) == [54, 56, 58])
    #expect(Array(sums.values[12..<15]) == [12, 13, 14])
  }
}
