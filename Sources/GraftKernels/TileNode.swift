internal import CKernels
internal import GraftCore

/// A step of a program with its form: which of the axes its value varies along.
struct TileNode: Sendable {
  /// A `graft_tile_op`.
  let op: Int
  let form: UInt8
  /// The nodes that are read.
  let operands: [Int]
  /// Of loads, stores and dropout masks; the index among the column sums of a column sum.
  var binding = 0
  /// Of rotate-half; the index among the masks of a dropout mask.
  var width = 0
  var immediate: Float = 0

  static let (scalar, perRow, perColumn, full) = (UInt8(0), UInt8(1), UInt8(2), UInt8(3))

  func has(_ op: graft_tile_op) -> Bool { self.op == Int(op.rawValue) }

  var isReduction: Bool { has(GRAFT_ROW_SUM) || has(GRAFT_ROW_MAXIMUM) }

  /// Whether it is work on full tiles, which chains do strip by strip.
  var runsInChain: Bool { isReduction || form == Self.full && !has(GRAFT_LOAD) }

  var isStore: Bool { has(GRAFT_STORE) }

  var definesValue: Bool { !isStore && !has(GRAFT_COLUMN_SUM) }
}

/// A program's instructions as nodes, with those that widen a value where one needs it.
struct TileNodes {
  private(set) var nodes: [TileNode] = []
  private(set) var columnSums: [Int] = []
  private(set) var masks: [DropoutMask] = []
  /// Whether tiles must hold whole rows.
  private(set) var needsWholeRows = false
  private let layouts: [TileProgram.Binding]
  private var nodeOfRegister: [Int] = []
  /// Registers whose rounding is left to the stores that alone read them.
  private let roundedByStores: Set<Int>

  init(_ instructions: [TileProgram.Instruction], layouts: [TileProgram.Binding]) {
    self.layouts = layouts
    roundedByStores = Self.roundedByStores(instructions, layouts)
    for instruction in instructions {
      let node = translate(instruction)
      nodeOfRegister.append(node)
    }
  }

  private static func roundedByStores(
    _ instructions: [TileProgram.Instruction], _ layouts: [TileProgram.Binding]
  ) -> Set<Int> {
    var found: Set<Int> = []
    for (register, instruction) in instructions.enumerated() {
      if case .round(.bf16, _) = instruction { found.insert(register) }
    }
    for instruction in instructions {
      if case .store(_, let binding) = instruction, layouts[binding].dtype == .bf16 { continue }
      found.subtract(instruction.operands)
    }
    return found
  }

  /// The form in which a binding is read or written: its bits say whether it varies by row and by column.
  private func form(_ binding: Int) -> UInt8 {
    (layouts[binding].rowModulus == 1 ? 0 : TileNode.perRow)
      | (layouts[binding].width == .one ? 0 : TileNode.perColumn)
  }

  private mutating func emit(
    _ op: Int, form: UInt8? = nil, _ operands: [Int] = [], binding: Int = 0, width: Int = 0,
    immediate: Float = 0
  ) -> Int {
    nodes.append(
      TileNode(
        op: op, form: form ?? operands.reduce(0) { $0 | nodes[$1].form }, operands: operands,
        binding: binding, width: width, immediate: immediate))
    return nodes.count - 1
  }

  private mutating func widened(_ node: Int, to form: UInt8) -> Int {
    nodes[node].form == form ? node : emit(Int(GRAFT_EXPAND.rawValue), form: form, [node])
  }

  private mutating func translate(_ instruction: TileProgram.Instruction) -> Int {
    switch instruction {
    case .load(let binding):
      return emit(Int(GRAFT_LOAD.rawValue), form: form(binding), binding: binding)
    case .constant(let value):
      return emit(Int(GRAFT_CONSTANT.rawValue), form: TileNode.scalar, immediate: value)
    case .dropoutMask(let mask, let batch):
      precondition(layouts[batch].dtype == .i64, "the number of a batch is an i64")
      masks.append(mask)
      return emit(
        Int(GRAFT_DROPOUT_MASK.rawValue), form: TileNode.full, binding: batch,
        width: masks.count - 1)
    case .unary(let unary, let x):
      return emit(unary.code, [nodeOfRegister[x]])
    case .binary(let binary, let x, let y):
      return emit(binary.code, [nodeOfRegister[x], nodeOfRegister[y]])
    case .select(let condition, let then, let otherwise):
      return emit(
        Int(GRAFT_SELECT.rawValue),
        [nodeOfRegister[condition], nodeOfRegister[then], nodeOfRegister[otherwise]])
    case .round(let dtype, let x):
      switch dtype {
      case .f32: return nodeOfRegister[x]
      case .bf16 where roundedByStores.contains(nodeOfRegister.count): return nodeOfRegister[x]
      case .bf16: return emit(Int(GRAFT_ROUND_BF16.rawValue), [nodeOfRegister[x]])
      case .f16: return emit(Int(GRAFT_ROUND_F16.rawValue), [nodeOfRegister[x]])
      default: preconditionFailure("registers are rounded to f16 or bf16")
      }
    case .rotateHalf(let width, let x):
      needsWholeRows = true
      let x = nodeOfRegister[x]
      let whole = widened(x, to: nodes[x].form | TileNode.perColumn)
      return emit(Int(GRAFT_ROTATE_HALF.rawValue), [whole], width: width)
    case .rowReduce(let reduction, let x):
      needsWholeRows = true
      let x = widened(nodeOfRegister[x], to: TileNode.full)
      let op = reduction == .sum ? GRAFT_ROW_SUM : GRAFT_ROW_MAXIMUM
      return emit(Int(op.rawValue), form: TileNode.perRow, [x])
    case .store(let x, let binding):
      precondition(layouts[binding].rowDivisor == 1, "rows are written once")
      let value = widened(nodeOfRegister[x], to: form(binding))
      return emit(Int(GRAFT_STORE.rawValue), [value], binding: binding)
    case .columnSum(let x, let binding):
      columnSums.append(binding)
      // A binding of one value takes the sum of one value a row.
      let form = layouts[binding].width == .one ? TileNode.perRow : TileNode.full
      let value = widened(nodeOfRegister[x], to: form)
      return emit(Int(GRAFT_COLUMN_SUM.rawValue), [value], binding: columnSums.count - 1)
    }
  }
}

extension TileProgram.Instruction {
  /// The registers that are read.
  fileprivate var operands: [TileProgram.Register] {
    switch self {
    case .load, .constant, .dropoutMask: []
    case .unary(_, let x), .round(_, let x), .rotateHalf(_, let x), .rowReduce(_, let x),
      .store(let x, _), .columnSum(let x, _):
      [x]
    case .binary(_, let x, let y): [x, y]
    case .select(let condition, let then, let otherwise): [condition, then, otherwise]
    }
  }
}

extension TileProgram.Unary {
  /// The kernel's number for it, different from those of all other pointwise operations.
  package var code: Int {
    let op =
      switch self {
      case .negate: GRAFT_NEGATE
      case .exp: GRAFT_EXP
      case .log: GRAFT_LOG
      case .squareRoot: GRAFT_SQUARE_ROOT
      case .reciprocalSquareRoot: GRAFT_RECIPROCAL_SQUARE_ROOT
      case .reciprocal: GRAFT_RECIPROCAL
      case .tanh: GRAFT_TANH
      case .sigmoid: GRAFT_SIGMOID
      case .erf: GRAFT_ERF
      case .absolute: GRAFT_ABSOLUTE
      case .square: GRAFT_SQUARE
      case .sine: GRAFT_SINE
      case .cosine: GRAFT_COSINE
      }
    return Int(op.rawValue)
  }
}

extension TileProgram.Binary {
  /// The kernel's number for it, different from those of all other pointwise operations.
  package var code: Int {
    let op =
      switch self {
      case .add: GRAFT_ADD
      case .subtract: GRAFT_SUBTRACT
      case .multiply: GRAFT_MULTIPLY
      case .divide: GRAFT_DIVIDE
      case .maximum: GRAFT_MAXIMUM
      case .minimum: GRAFT_MINIMUM
      case .less: GRAFT_LESS
      case .equal: GRAFT_EQUAL
      }
    return Int(op.rawValue)
  }
}
