internal import CKernels
internal import GraftCore

/// A tile program made ready to run: forms inferred, work split into chains, tile extents chosen.
///
/// Full tiles are worked on in chains, which keep values in registers; what has one value a row, a column or a tile
/// is made by steps before the chain that needs it. Stage `n` is the steps, then the chain, that wait for row
/// reductions of stage `n − 1`. Everything follows from the program alone, so results do too.
struct TilePlan: Sendable {
  /// Extents of the iteration space as walked; a program of unbroken runs becomes one long row.
  private(set) var rows: Int
  private(set) var columns: Int
  /// A tile: whole rows, or a part of one row.
  private(set) var tileRows = 1
  private(set) var tileColumns = 1
  private(set) var bindings: [graft_tile_binding] = []
  private(set) var steps: [graft_tile_step] = []
  private(set) var chains: [graft_tile_chain] = []
  private(set) var links: [graft_chain_link] = []
  private(set) var operands: [graft_chain_operand] = []
  private(set) var masks: [graft_dropout_mask] = []
  /// Where each column sum goes, and the lanes that rows are split into when there are some.
  private(set) var columnSums: [Int] = []
  private(set) var laneRows = 0
  private(set) var slots = 0
  /// Bindings that are read after another was written: where their memory overlaps, stores have to come last.
  private(set) var conflicts: [(read: Int, written: Int)] = []

  /// Values of a tile, and of one whose rows are reduced.
  ///
  /// What waits for a row's sum stays in the first cache beside what streams through it, and short tiles let the CPU read the
  /// next rows while it computes: add and RMSNorm on rows of 576 from memory, with the kernel called in a loop, moved a third
  /// more bytes a second by two rows than by seven.
  private static let (tileCount, reducedTileCount) = (4096, 1536)
  private static let lanes = 32

  /// Plans a program; `storesLast` keeps all memory as it was until everything that is stored has been computed.
  init(_ program: TileProgram, storesLast: Bool) {
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
    let nodes = TileNodes(program.instructions, layouts: layouts)
    columnSums = nodes.columnSums
    masks = nodes.masks.map(\.forKernel)
    tileColumns = nodes.needsWholeRows ? columns : min(columns, Self.tileCount)
    let isWhole = tileColumns == columns
    func rowsOfTile(holding count: Int) -> Int {
      isWhole ? max(1, min(rows, count / max(columns, 1))) : 1
    }
    let reducesRows = nodes.nodes.contains(where: \.isReduction)
    tileRows = rowsOfTile(holding: reducesRows ? Self.reducedTileCount : Self.tileCount)
    if !columnSums.isEmpty {
      // A power of two and, among few rows, no longer than a chain's tile, so that the lanes are parts of a chain's lanes.
      let laneTile = min(rowsOfTile(holding: Self.tileCount), RowChain.rowsPerTile)
      laneRows = 1
      while laneRows < max(laneTile, (rows + Self.lanes - 1) / Self.lanes) { laneRows *= 2 }
      tileRows = min(tileRows, laneTile)
    }
    let assembly = TileAssembly(nodes.nodes, layouts: layouts, storesLast: storesLast)
    steps = assembly.steps
    chains = assembly.chains
    links = assembly.links
    operands = assembly.operands
    slots = assembly.stages.slotCount
    conflicts = assembly.conflicts
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
      case .load, .constant, .dropoutMask, .unary, .binary, .select, .round, .store: true
      }
    }
    guard isFlat, isPointwise, rows > 1 else { return }
    columns *= rows
    rows = 1
  }

  /// Floats of a slot; its last strip may be written whole.
  var slotStride: Int { tileRows * tileColumns + GRAFT_STRIP }
  var tilesPerRow: Int { (columns + tileColumns - 1) / max(tileColumns, 1) }

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
