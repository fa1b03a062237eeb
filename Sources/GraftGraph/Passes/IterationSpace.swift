internal import GraftCore
internal import GraftKernels

/// The rows and columns that a group's instructions run over.
struct IterationSpace {
  let rows: Int
  let columns: Int

  /// The space that two groups can share; nil when there is none.
  ///
  /// Spaces of equal size meet at the finer columns; one value a row joins the rows.
  init?(merging one: FusionGroup, _ other: FusionGroup) {
    let size = one.rows * one.columns
    if size == other.rows * other.columns {
      let finer = min(one.columns, other.columns)
      guard finer > 0 else { return nil }
      rows = size / finer
      columns = finer
    } else if one.columns == 1 || other.columns == 1, one.rows == other.rows {
      rows = one.rows
      columns = max(one.columns, other.columns)
    } else {
      return nil
    }
  }
}

extension Graph {
  /// The shape that a node's instructions run over: the input's for reductions, else the result's.
  func iterationShape(of place: Int) -> Shape {
    let node = nodes[place]
    switch node.op {
    case .rowReduce, .sumRows: return shape(of: node.inputs[0])
    case .unary, .binary, .select, .cast, .broadcast, .rotateHalf, .parameter, .input, .constant,
      .dropoutMask, .reshape, .matmul, .attention, .attentionBackward, .cachedAttention, .gather,
      .scatterAdd, .crossEntropy, .crossEntropyHeadGradient, .assign:
      return node.results[0].shape
    }
  }

  /// Whether a node can run in an iteration space.
  func runs(_ place: Int, over space: IterationSpace) -> Bool {
    let shape = iterationShape(of: place)
    let isFull = shape.elementCount == space.rows * space.columns
    let isRowWise = shape.columns == 1 && shape.rows == space.rows
    guard isFull || isRowWise else { return false }
    switch nodes[place].op {
    case .rowReduce, .sumRows: return isFull && shape.columns == space.columns
    case .rotateHalf(let width):
      return isFull && space.columns % width == 0 && shape.columns % space.columns == 0
    case .unary, .binary, .select, .cast, .broadcast:
      return isRowWise || (space.columns > 0 && shape.columns % space.columns == 0)
    case .parameter, .input, .constant, .dropoutMask, .reshape, .matmul, .attention,
      .attentionBackward, .cachedAttention, .gather, .scatterAdd, .crossEntropy,
      .crossEntropyHeadGradient, .assign:
      return false
    }
  }

  /// Which nodes each user computes for itself: casts to f32, which are part of a load, with only fusible users.
  func inlinedNodes(live: [Bool], outputs: Set<Value>) -> [Bool] {
    var inlined = nodes.map { node in
      node.op == .cast && node.results[0].dtype == .f32
    }
    func refuse(_ value: Value) {
      inlined[base(of: value).node] = false
    }
    for output in outputs { refuse(output) }
    for (place, node) in nodes.enumerated() where live[place] {
      switch node.op.kind {
      case .opaque, .effect: for input in node.inputs { refuse(input) }
      case .fusible, .view, .leaf, .constant: break
      }
    }
    return inlined
  }

  /// The values in memory or in registers that a node reads, seen through views and inlined casts.
  func operands(of place: Int, _ inlined: [Bool]) -> [Value] {
    nodes[place].inputs.map { input in
      var value = base(of: input)
      while inlined[value.node] { value = base(of: nodes[value.node].inputs[0]) }
      return value
    }
  }
}
