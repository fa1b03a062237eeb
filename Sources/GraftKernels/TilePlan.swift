internal import CKernels
internal import GraftCore
internal import Synchronization

/// A tile program made ready to run: forms inferred, registers given slots by liveness, tile extents chosen.
///
/// Everything follows from the program alone, so results do too.
struct TilePlan: Sendable {
  /// Extents of the iteration space as walked; a program of unbroken runs becomes one long row.
  private(set) var rows: Int
  private(set) var columns: Int
  /// A tile: whole rows, or a part of one row.
  private(set) var tileRows = 1
  private(set) var tileColumns = 1
  private(set) var steps: [graft_tile_step] = []
  private(set) var bindings: [graft_tile_binding] = []
  /// Where each column sum goes, and the lanes that rows are split into when there are some.
  private(set) var columnSums: [Int] = []
  private(set) var laneRows = 0
  /// Loads that may stand where they are in memory, unless one of these stores overwrites them too early.
  private(set) var directLoads: [(step: Int, stores: [Int])] = []
  private(set) var slots = 0

  /// Values of a tile: small enough that the live ones stay in the second cache.
  private static let tileCount = 2048
  private static let lanes = 32

  init(_ program: TileProgram) {
    rows = program.rows
    columns = program.columns
    var layouts = program.bindings
    for i in layouts.indices {
      if layouts[i].rowModulus >= rows * layouts[i].rowDivisor { layouts[i].rowModulus = .max }
      if columns == 1, layouts[i].rowModulus != 1 { layouts[i].width = .columns }
    }
    flatten(program, &layouts)
    bindings = layouts.map {
      graft_tile_binding(
        dtype: $0.dtype.code, is_one_wide: $0.width == .one ? 1 : 0,
        row_divisor: Int64($0.rowDivisor), row_modulus: Int64($0.rowModulus))
    }
    var builder = StepBuilder(layouts: layouts)
    for instruction in program.instructions { builder.append(instruction) }
    columnSums = builder.columnSums
    let spansRow = builder.needsWholeRows
    tileColumns = spansRow ? columns : min(columns, Self.tileCount)
    tileRows = tileColumns < columns ? 1 : max(1, min(rows, Self.tileCount / max(columns, 1)))
    if !columnSums.isEmpty {
      laneRows = max(tileRows, (rows + Self.lanes - 1) / Self.lanes)
    }
    (steps, slots) = builder.assignSlots()
    directLoads = builder.directLoads(steps)
  }

  /// A program whose operands are unbroken runs or scalars has no rows to speak of.
  private mutating func flatten(_ program: TileProgram, _ layouts: inout [TileProgram.Binding]) {
    let isFlat = layouts.allSatisfy {
      $0.width == .columns
        ? $0.rowDivisor == 1 && ($0.rowModulus == .max || rows == 1) : $0.rowModulus == 1
    }
    let isPointwise = program.instructions.allSatisfy {
      switch $0 {
      case .rotateHalf, .rowReduce, .columnSum: false
      case .load, .constant, .unary, .binary, .select, .round, .store: true
      }
    }
    guard isFlat, isPointwise, rows > 1 else { return }
    columns *= rows
    rows = 1
  }

  var slotStride: Int { tileRows * tileColumns + 16 }
  var tilesPerRow: Int { (columns + tileColumns - 1) / max(tileColumns, 1) }

  /// The steps with every load that may stand where it is in memory doing so; for programs that write to none of the
  /// memory that they read.
  var stepsWithDirectLoads: [graft_tile_step] {
    var steps = steps
    for load in directLoads { steps[load.step].op = UInt8(GRAFT_LOAD_DIRECT.rawValue) }
    return steps
  }

  /// Calls `body` for the tiles of a range of the program's rows, which may be walked as one long row.
  func forEachTile(
    ofRows range: Range<Int>, of program: TileProgram,
    _ body: (_ rows: Range<Int>, _ columns: Range<Int>) -> Void
  ) {
    let isFlat = rows == 1 && program.rows > 1
    let walked = isFlat ? 0..<1 : range
    let across =
      isFlat ? range.lowerBound * program.columns..<range.upperBound * program.columns : 0..<columns
    for row in stride(from: walked.lowerBound, to: walked.upperBound, by: tileRows) {
      for column in stride(from: across.lowerBound, to: across.upperBound, by: tileColumns) {
        body(
          row..<min(walked.upperBound, row + tileRows),
          column..<min(across.upperBound, column + tileColumns))
      }
    }
  }
}

/// Translates instructions to steps, one register each, plus those that widen a register where a step needs it.
private struct StepBuilder {
  private(set) var steps: [graft_tile_step] = []
  private(set) var columnSums: [Int] = []
  private(set) var needsWholeRows = false
  private let layouts: [TileProgram.Binding]
  private var stepOfRegister: [Int] = []

  init(layouts: [TileProgram.Binding]) { self.layouts = layouts }

  private static let (scalar, perRow, perColumn, full) = (UInt8(0), UInt8(1), UInt8(2), UInt8(3))

  /// The form in which a binding is read or written: its bits say whether it varies by row and by column.
  private func form(_ binding: Int) -> UInt8 {
    (layouts[binding].rowModulus == 1 ? 0 : 1) | (layouts[binding].width == .one ? 0 : 2)
  }

  @discardableResult
  private mutating func emit(
    _ op: Int, form: UInt8? = nil, _ operands: [Int] = [], binding: Int = 0, width: Int = 0,
    immediate: Float = 0
  ) -> Int {
    var step = graft_tile_step()
    step.op = UInt8(op)
    let forms = operands.map { steps[$0].form }
    step.form = form ?? forms.reduce(0, |)
    if operands.count > 0 { step.operand.0 = Int32(operands[0]); step.operand_form.0 = forms[0] }
    if operands.count > 1 { step.operand.1 = Int32(operands[1]); step.operand_form.1 = forms[1] }
    if operands.count > 2 { step.operand.2 = Int32(operands[2]); step.operand_form.2 = forms[2] }
    step.result = Int32(steps.count)
    step.binding = Int32(binding)
    step.width = Int32(width)
    step.immediate = immediate
    steps.append(step)
    return steps.count - 1
  }

  private mutating func widened(_ step: Int, to form: UInt8) -> Int {
    steps[step].form == form ? step : emit(Int(GRAFT_EXPAND.rawValue), form: form, [step])
  }

  mutating func append(_ instruction: TileProgram.Instruction) {
    let step = translate(instruction)
    stepOfRegister.append(step)
  }

  private mutating func translate(_ instruction: TileProgram.Instruction) -> Int {
    switch instruction {
    case .load(let binding):
      return emit(Int(GRAFT_LOAD.rawValue), form: form(binding), binding: binding)
    case .constant(let value):
      return emit(Int(GRAFT_CONSTANT.rawValue), form: Self.scalar, immediate: value)
    case .unary(let unary, let x):
      return emit(unary.code, [stepOfRegister[x]])
    case .binary(let binary, let x, let y):
      return emit(binary.code, [stepOfRegister[x], stepOfRegister[y]])
    case .select(let condition, let then, let otherwise):
      return emit(
        Int(GRAFT_SELECT.rawValue),
        [stepOfRegister[condition], stepOfRegister[then], stepOfRegister[otherwise]])
    case .round(let dtype, let x):
      switch dtype {
      case .f32: return stepOfRegister[x]
      case .bf16: return emit(Int(GRAFT_ROUND_BF16.rawValue), [stepOfRegister[x]])
      case .f16: return emit(Int(GRAFT_ROUND_F16.rawValue), [stepOfRegister[x]])
      default: preconditionFailure("registers are rounded to f16 or bf16")
      }
    case .rotateHalf(let width, let x):
      needsWholeRows = true
      let x = stepOfRegister[x]
      return emit(
        Int(GRAFT_ROTATE_HALF.rawValue), [widened(x, to: steps[x].form | Self.perColumn)],
        width: width)
    case .rowReduce(let reduction, let x):
      needsWholeRows = true
      let x = widened(stepOfRegister[x], to: Self.full)
      let op = reduction == .sum ? GRAFT_ROW_SUM : GRAFT_ROW_MAXIMUM
      return emit(Int(op.rawValue), form: Self.perRow, [x])
    case .store(let x, let binding):
      precondition(layouts[binding].rowDivisor == 1, "rows are written once")
      return emit(
        Int(GRAFT_STORE.rawValue), [widened(stepOfRegister[x], to: form(binding))],
        binding: binding)
    case .columnSum(let x, let binding):
      columnSums.append(binding)
      // A binding of one value takes the sum of one value a row.
      let form = layouts[binding].width == .one ? Self.perRow : Self.full
      return emit(
        Int(GRAFT_COLUMN_SUM.rawValue), [widened(stepOfRegister[x], to: form)],
        binding: columnSums.count - 1)
    }
  }

  // MARK: - Slots

  private func operands(_ step: graft_tile_step) -> [Int] {
    let all = [Int(step.operand.0), Int(step.operand.1), Int(step.operand.2)]
    return Array(all.prefix(step.operandCount))
  }

  private func lastUses(_ steps: [graft_tile_step]) -> [Int] {
    var last = Array(steps.indices)
    for (i, step) in steps.enumerated() { for x in operands(step) { last[x] = i } }
    return last
  }

  /// Gives each register a slot that no live register has; a result may take an operand's slot where every value
  /// is read before its place is written.
  func assignSlots() -> ([graft_tile_step], Int) {
    var steps = steps
    let last = lastUses(steps)
    var free: [Int32] = []
    var slots: Int32 = 0
    for i in steps.indices where steps[i].definesRegister {
      let dying = Set(operands(steps[i])).filter { last[$0] == i && $0 != i }
      let reusable = steps[i].isInPlace ? dying.filter { steps[$0].form == steps[i].form } : []
      if let first = reusable.min() {
        steps[i].slot = steps[first].slot
        free += dying.filter { $0 != first }.sorted().map { steps[$0].slot }
      } else {
        if let slot = free.popLast() {
          steps[i].slot = slot
        } else {
          steps[i].slot = slots
          slots += 1
        }
        free += dying.sorted().map { steps[$0].slot }
      }
      if last[i] == i { free.append(steps[i].slot) }
    }
    return (steps, Int(slots))
  }

  /// f32 operands in plain order that need no copy, with the stores that come before their last use.
  func directLoads(_ steps: [graft_tile_step]) -> [(step: Int, stores: [Int])] {
    let last = lastUses(steps)
    return steps.indices.compactMap { i in
      let step = steps[i]
      guard step.op == UInt8(GRAFT_LOAD.rawValue) else { return nil }
      let layout = layouts[Int(step.binding)]
      guard layout.dtype == .f32, layout.rowDivisor == 1,
        layout.rowModulus == 1 || layout.rowModulus == .max
      else { return nil }
      let stores = (i..<last[i]).filter { steps[$0].op == UInt8(GRAFT_STORE.rawValue) }
      return (i, stores.map { Int(steps[$0].binding) })
    }
  }
}

extension graft_tile_step {
  fileprivate var operandCount: Int {
    switch Int(op) {
    case Int(GRAFT_SELECT.rawValue): 3
    case Int(GRAFT_ADD.rawValue)...Int(GRAFT_EQUAL.rawValue): 2
    case Int(GRAFT_CONSTANT.rawValue), Int(GRAFT_LOAD.rawValue), Int(GRAFT_LOAD_DIRECT.rawValue): 0
    default: 1
    }
  }

  fileprivate var definesRegister: Bool {
    op != UInt8(GRAFT_STORE.rawValue) && op != UInt8(GRAFT_COLUMN_SUM.rawValue)
  }

  /// Whether value `i` of the result needs only values `i` of operands of its form.
  fileprivate var isInPlace: Bool { Int(op) <= Int(GRAFT_SELECT.rawValue) || isRounding }

  private var isRounding: Bool {
    op == UInt8(GRAFT_ROUND_BF16.rawValue) || op == UInt8(GRAFT_ROUND_F16.rawValue)
  }
}

extension TileProgram.Unary {
  fileprivate var code: Int {
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
  fileprivate var code: Int {
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

/// The plans of the programs seen so far.
final class PlanCache: Sendable {
  private let plans = Mutex<[TileProgram: TilePlan]>([:])

  func plan(_ program: TileProgram) -> TilePlan {
    plans.withLock { plans in
      if let plan = plans[program] { return plan }
      let plan = TilePlan(program)
      plans[program] = plan
      return plan
    }
  }
}
