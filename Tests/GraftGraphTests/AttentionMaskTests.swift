import GraftCore
import GraftGraph
import GraftKernels
import Testing

/// Attention over more tokens than one tile holds, compiled against interpreted.
struct AttentionMaskTests {
  struct Mask: Sendable {
    var isCausal = true
    var window: Int?
    var isSegmented = false
  }

  static let masks = [
    Mask(), Mask(window: 2), Mask(window: 200), Mask(isSegmented: true),
    Mask(window: 100, isSegmented: true), Mask(isCausal: false), Mask(isCausal: false, window: 64),
    Mask(isCausal: false, isSegmented: true),
  ]

  @Test(arguments: masks)
  func `output and gradients are the interpreter's`(_ mask: Mask) throws {
    let shape = AttentionShape(
      batch: 1, sequence: 600, heads: 2, keyValueHeads: 1, headDim: 4, scale: 0.6,
      isCausal: mask.isCausal, window: mask.window)
    var example = Example()
    let q = example.parameter("q", [600, 8], scale: 2)
    let k = example.parameter("k", [600, 4], scale: 2)
    let v = example.parameter("v", [600, 4])
    let ends = [129, 130, 520, 600]
    let segments = example.integers(
      "segments", (0..<600).map { token in ends.count { $0 <= token } })
    let o = example.graph.attention(
      q, k, v, shape: shape, segments: mask.isSegmented ? segments : nil)
    let loss = example.loss(o)
    let gradients = try example.graph.gradients(of: loss, withRespectTo: [q, k, v])
    let compiled = try example.run([o] + gradients)
    for (found, truth) in zip(compiled, try example.interpret([o] + gradients)) {
      #expect(distance(found, truth) < 1e-5)
    }
  }
}
