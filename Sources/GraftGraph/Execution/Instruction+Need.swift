internal import GraftCore
package import GraftKernels

extension Instruction {
  /// The scratch that the instruction takes.
  func need(_ graph: Graph, _ kernels: Kernels) -> ScratchNeed {
    switch action {
    case .tiles(let program): kernels.need(program)
    case .chain(let chain): kernels.need(chain)
    case .siblings: kernels.need(siblings: layout(0, graph), pairs(graph))
    case .copy: ScratchNeed()
    case .kernel(let op, let inputCount):
      kernels.need(
        op, inputCount,
        hasSecondResult: operands.dropFirst(inputCount + 1).first.map { $0 != nil } ?? false
      ) { layout($0, graph) }
    }
  }
}

extension Kernels {
  /// The scratch that a kernel takes on inputs, and results after them, of some layouts.
  fileprivate func need(
    _ op: Op, _ inputCount: Int, hasSecondResult: Bool, _ layout: (Int) -> MatrixLayout
  ) -> ScratchNeed {
    func dtype(_ index: Int) -> DType { layout(index).dtype }
    switch op {
    case .matmul(let transposeA, let transposeB):
      return need(
        product: layout(0), transposed: transposeA, layout(1), transposed: transposeB,
        into: layout(2))
    case .attention(let shape):
      return need(attention: shape, dtype(0), dtype(1), dtype(2))
    case .attentionBackward(let shape):
      return need(
        attentionBackward: shape, dtype(0), dtype(1), dtype(2), hasSegments: inputCount > 6)
    case .cachedAttention(let shape):
      return need(
        cachedAttention: shape, dtype(0), keyCache: dtype(3), valueCache: dtype(4))
    case .gather: return ScratchNeed()
    case .scatterAdd: return need(scatterAddOfColumns: layout(0).columns)
    case .crossEntropy:
      return need(
        crossEntropy: layout(0), head: layout(1), hasGradient: hasSecondResult)
    case .crossEntropyHeadGradient:
      return need(
        crossEntropyHeadGradient: layout(0), head: layout(1), into: layout(inputCount))
    case .parameter, .input, .constant, .dropoutMask, .unary, .binary, .select, .cast, .broadcast,
      .rotateHalf,
      .rowReduce, .sumRows, .reshape, .assign:
      preconditionFailure("\(op) isn't a kernel")
    }
  }
}

extension Instruction {
  /// An operand as a matrix.
  private func layout(_ index: Int, _ graph: Graph) -> MatrixLayout {
    guard let operand = operands[index] else { preconditionFailure("an operand that is there") }
    return MatrixLayout(graph.dtype(of: operand.base), operand.shape)
  }

  /// The right operands and results of siblings.
  private func pairs(_ graph: Graph) -> [(b: MatrixLayout, c: MatrixLayout)] {
    let count = operands.count / 2
    return (1...count).map { (b: layout($0, graph), c: layout($0 + count, graph)) }
  }
}

extension Compilation {
  /// The instructions that the steps become; equal programs are prepared once.
  var instructions: [Instruction] {
    var prepared: [TileProgram: PreparedProgram] = [:]
    return schedule.steps.map { Instruction($0, graph, used: used, &prepared) }
  }

  /// The scratch that a run takes.
  package func need(_ kernels: Kernels) -> ScratchNeed {
    instructions.reduce(into: ScratchNeed()) { $0.include($1.need(graph, kernels)) }
  }
}

extension Graph {
  /// About what a run of any plan takes as scratch: the kernels', each as if it ran by itself.
  package func need(_ kernels: Kernels) -> ScratchNeed {
    nodes.reduce(into: ScratchNeed()) { need, node in
      guard node.op.kind == .opaque else { return }
      let types = node.inputs.map(type) + node.results
      need.include(
        kernels.need(node.op, node.inputs.count, hasSecondResult: true) {
          MatrixLayout(types[$0].dtype, types[$0].shape)
        })
    }
  }
}
