internal import GraftKernels

extension Op {
  /// One word for tables.
  package var name: String {
    switch self {
    case .parameter: "parameter"
    case .input: "input"
    case .constant: "constant"
    case .dropoutMask: "dropoutMask"
    case .unary(let operation): operation.rawValue
    case .binary(let operation): operation.rawValue
    case .select: "select"
    case .cast: "cast"
    case .broadcast: "broadcast"
    case .rotateHalf: "rotateHalf"
    case .rowReduce(let reduction): reduction == .sum ? "rowSum" : "rowMaximum"
    case .sumRows: "sumRows"
    case .reshape: "reshape"
    case .matmul: "matmul"
    case .attention: "attention"
    case .attentionBackward: "attentionBackward"
    case .cachedAttention: "cachedAttention"
    case .gather: "gather"
    case .scatterAdd: "scatterAdd"
    case .crossEntropy: "crossEntropy"
    case .crossEntropyHeadGradient: "crossEntropyHeadGradient"
    case .assign: "assign"
    }
  }
}
