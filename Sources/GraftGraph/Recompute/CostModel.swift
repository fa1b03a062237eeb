internal import GraftCore
internal import GraftKernels

/// What nodes cost: seconds from floating-point operations and bytes at fixed rates.
///
/// Plans depend only on ratios between the rates, so that one graph and one budget always give one plan.
package struct CostModel: Sendable, Equatable {
  /// Floating-point operations a second in products of two bf16 matrices.
  package var bf16Rate: Double
  /// The same with an f32 matrix among the two.
  package var f32Rate: Double
  /// The same in attention.
  package var attentionRate: Double
  /// Bytes a second that pointwise work reads and writes.
  package var bandwidth: Double

  /// The rates of a server core with bf16 dot products; one with others differs in all of them alike.
  package static let standard = CostModel(
    bf16Rate: 200e9, f32Rate: 90e9, attentionRate: 80e9, bandwidth: 10e9)

  /// The seconds that a node takes; a pointwise node costs what writing its result does.
  package func seconds(_ op: Op, inputs: [ValueType], results: [ValueType]) -> Double {
    let written = Double(results.reduce(0) { $0 + $1.byteCount }) / bandwidth
    switch op {
    case .matmul(let transposeA, _):
      let inner = inputs[0].shape[transposeA ? 0 : 1]
      let isNarrow = inputs[0].dtype == .bf16 && inputs[1].dtype == .bf16
      let operations = 2 * Double(results[0].shape.elementCount) * Double(inner)
      return operations / (isNarrow ? bf16Rate : f32Rate) + written
    case .attention(let shape): return operations(shape) / attentionRate + written
    case .attentionBackward(let shape): return 2.5 * operations(shape) / attentionRate + written
    case .crossEntropy, .crossEntropyHeadGradient:
      let (x, head) = (inputs[0], inputs[1])
      let isNarrow = x.dtype == .bf16 && head.dtype == .bf16
      let products = 4 * Double(x.shape.elementCount) * Double(head.shape[0])
      return products / (isNarrow ? bf16Rate : f32Rate)
    case .gather, .scatterAdd, .cachedAttention, .unary, .binary, .select, .cast, .broadcast,
      .rotateHalf, .rowReduce, .sumRows, .assign:
      return written
    case .parameter, .input, .constant, .dropoutMask, .reshape: return 0
    }
  }

  /// The seconds of one run of what was compiled; pointwise work by the bytes that its steps move.
  package func seconds(_ compilation: Compilation) -> Double {
    let graph = compilation.graph
    var sum = Double(compilation.report.bytesMoved) / bandwidth
    for place in compilation.schedule.steps.flatMap(\.kernels) {
      let node = graph.nodes[place]
      sum += seconds(node.op, inputs: node.inputs.map { graph.type(of: $0) }, results: node.results)
    }
    return sum
  }

  /// Both products of causal attention, over half of the square.
  private func operations(_ shape: AttentionShape) -> Double {
    let width = Double(shape.batch * shape.heads * shape.headDim)
    return 2 * width * Double(shape.sequence) * Double(shape.sequence)
  }
}
