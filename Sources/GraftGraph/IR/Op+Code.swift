internal import GraftKernels

extension Op {
  /// A number for hashing: one for each operation, whatever it carries, and those of the kernels for pointwise ones.
  var code: Int {
    switch self {
    case .unary(let operation): operation.code
    case .binary(let operation): operation.code
    case .parameter: -1
    case .input: -2
    case .constant: -3
    case .dropoutMask: -4
    case .select: -5
    case .cast: -6
    case .broadcast: -7
    case .rotateHalf: -8
    case .rowReduce(let reduction): reduction == .sum ? -9 : -10
    case .sumRows: -11
    case .reshape: -12
    case .matmul: -13
    case .attention: -14
    case .attentionBackward: -15
    case .cachedAttention: -16
    case .gather: -17
    case .scatterAdd: -18
    case .crossEntropy: -19
    case .crossEntropyHeadGradient: -20
    case .assign: -21
    }
  }
}
