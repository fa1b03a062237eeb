import GraftCore
import GraftGraph
import GraftKernels
import Testing

/// The rows of ``GradientTests`` against the operations that there are.
struct GradientCoverageTests {
  /// An operation without what it carries; one that is new doesn't compile until it has a name here.
  private enum Kind: CaseIterable {
    case parameter, input, constant, dropoutMask
    case unary, binary, select, cast, broadcast, rotateHalf
    case rowReduce, sumRows, reshape
    case matmul, attention, attentionBackward, cachedAttention
    case gather, scatterAdd, crossEntropy, crossEntropyHeadGradient
    case assign

    init(_ op: Op) {
      self =
        switch op {
        case .parameter: .parameter
        case .input: .input
        case .constant: .constant
        case .dropoutMask: .dropoutMask
        case .unary: .unary
        case .binary: .binary
        case .select: .select
        case .cast: .cast
        case .broadcast: .broadcast
        case .rotateHalf: .rotateHalf
        case .rowReduce: .rowReduce
        case .sumRows: .sumRows
        case .reshape: .reshape
        case .matmul: .matmul
        case .attention: .attention
        case .attentionBackward: .attentionBackward
        case .cachedAttention: .cachedAttention
        case .gather: .gather
        case .scatterAdd: .scatterAdd
        case .crossEntropy: .crossEntropy
        case .crossEntropyHeadGradient: .crossEntropyHeadGradient
        case .assign: .assign
        }
    }

    /// Why no row is about the operation; nil where one must be.
    var exemption: String? {
      switch self {
      case .parameter, .input: "a gradient ends there"
      case .constant, .dropoutMask: "its numbers follow from no parameter"
      case .unary, .binary, .select, .cast, .broadcast, .rotateHalf, .rowReduce, .sumRows,
        .reshape, .matmul, .attention, .gather, .crossEntropy:
        nil
      case .attentionBackward, .scatterAdd, .crossEntropyHeadGradient:
        "it is a gradient, and nothing takes a second one"
      case .cachedAttention: "generation alone keeps a cache"
      case .assign: "nothing reads what an effect gives"
      }
    }
  }

  /// The operations of all rows' expressions.
  private static let operations: Set<Op> = {
    var operations: Set<Op> = []
    for testCase in GradientTests.cases + GradientTests.roundedCases {
      var example = Example()
      let x = example.parameter("x", [6, 8])
      let y = example.parameter("y", [6, 8])
      _ = testCase.build(&example.graph, x, y)
      operations.formUnion(example.graph.nodes.map(\.op))
    }
    return operations
  }()

  @Test func `every operation that has a gradient has a row`() {
    let kinds = Set(Self.operations.map { Kind($0) })
    for kind in Kind.allCases where kind.exemption == nil {
      #expect(kinds.contains(kind), "no row is about \(kind)")
    }
  }

  @Test func `every pointwise operation and reduction has a row`() {
    for operation in TileProgram.Unary.allCases {
      #expect(Self.operations.contains(.unary(operation)), "\(operation)")
    }
    for operation in TileProgram.Binary.allCases {
      #expect(Self.operations.contains(.binary(operation)), "\(operation)")
    }
    for reduction in TileProgram.Reduction.allCases {
      #expect(Self.operations.contains(.rowReduce(reduction)), "\(reduction)")
    }
  }
}
