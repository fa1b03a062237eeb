package import GraftCore

/// Products and tile programs over the same rows, run tile by tile of rows: what one member hands to the next stays in
/// the cache of the core that made it.
///
/// A chain has `rows` rows. The left operand and the result of a product have that many, the iteration space of a
/// tile program a multiple of it, so that a tile of rows needs nothing from another tile. Sums over all rows are made by lanes
/// and complete when the chain is. Members compute what they would compute alone, with the same bits: products are cut into
/// the same panels, and sums into the same lanes.
package struct RowChain: Sendable {
  /// Where a member finds a value.
  package enum Place: Sendable {
    /// In memory as a whole: the index of a slice that is given when the chain runs.
    case memory(Int)
    /// In the worker's scratch from this byte on, where only the rows of the current tile stand.
    case scratch(byte: Int, bytesPerRow: Int)
  }

  /// A value that a product reads or writes as a matrix.
  package struct Operand: Sendable {
    let place: Place
    let dtype: DType
    let rows: Int
    let columns: Int

    var layout: MatrixLayout { MatrixLayout(dtype, rows: rows, columns: columns) }

    /// Describes a matrix [rows, columns].
    package init(_ place: Place, _ dtype: DType, rows: Int, columns: Int) {
      self.place = place
      self.dtype = dtype
      self.rows = rows
      self.columns = columns
    }
  }

  /// What runs on each tile.
  package enum Member: Sendable {
    /// c = a · op(b).
    case product(a: Operand, b: Operand, transposedB: Bool, c: Operand)
    /// c = a · bᵀ for each pair; every b has at most ``RowChain/skinny`` rows.
    case siblings(a: Operand, [(b: Operand, c: Operand)])
    /// c = aᵀ · b, a sum over all rows; c is the index of a slice.
    case sum(a: Operand, b: Operand, c: Int)
    /// A program, and the place of each binding; what it sums over the rows lies in memory.
    case tiles(TileProgram, [Place])
  }

  let rows: Int
  let members: [PlannedMember]
  /// Bytes of a worker's scratch: values of one tile, then those that several products need in f32.
  let scratchByteCount: Int

  /// Prepares a chain of `rows` rows whose values in scratch take `scratchByteCount` bytes a tile.
  package init(rows: Int, members: [Member], scratchByteCount: Int) {
    self.rows = rows
    self.scratchByteCount = scratchByteCount
    self.members = members.map(PlannedMember.init)
  }

  /// The rows of a tile, which are those of a product's panel.
  package static let rowsPerTile = 128

  /// The extent up to which the packing of a general product costs more than it gains: the ranks of adapters.
  package static let skinny = 32

  /// Whether `rows` make enough tiles to keep several threads busy; a function of the shape alone.
  package static func isWorthwhile(rows: Int) -> Bool { rows >= 8 * rowsPerTile }

  /// Whether aᵀ · b: [m, n], a sum over `rows`, has so few results that every lane can have its own.
  package static func sumsProducts(m: Int, n: Int, rows: Int) -> Bool {
    isWorthwhile(rows: rows) && min(m, n) <= skinny
  }

  /// Whether the column sums of a program can be made by a chain of `rows` rows: lanes of both must fit each other.
  package static func sums(_ program: TileProgram, rows: Int) -> Bool {
    let plan = TilePlan(program, storesLast: false)
    let own = RowLanes(rows: rows).rowsPerLane * (program.rows / rows)
    return plan.rows == program.rows && own % plan.laneRows == 0
  }
}

/// A member with its tiles or panels chosen.
enum PlannedMember: Sendable {
  case product(a: RowChain.Operand, b: RowChain.Operand, transposedB: Bool, c: RowChain.Operand)
  case siblings(a: RowChain.Operand, [(b: RowChain.Operand, c: RowChain.Operand)])
  case sum(a: RowChain.Operand, b: RowChain.Operand, c: Int)
  case tiles(TileProgram, TilePlan, [RowChain.Place])

  init(_ member: RowChain.Member) {
    switch member {
    case .product(let a, let b, let transposedB, let c):
      self = .product(a: a, b: b, transposedB: transposedB, c: c)
    case .siblings(let a, let pairs): self = .siblings(a: a, pairs)
    case .sum(let a, let b, let c): self = .sum(a: a, b: b, c: c)
    case .tiles(let program, let places):
      let plan = TilePlan(program, storesLast: false)
      self = .tiles(program, plan, places)
    }
  }

  /// The bytes of what the member sums over the rows of a chain.
  func sumByteCount(lanes: RowLanes) -> Int {
    switch self {
    case .product, .siblings: 0
    case .sum(let a, let b, _):
      LaneSums.byteCount(count: lanes.count, width: a.columns * b.columns)
    case .tiles(_, let plan, _): plan.sumByteCount
    }
  }

  /// What the member sums over the rows of a chain, in some memory.
  func laneSums(lanes: RowLanes, in memory: Memory, at byteOffset: Int) -> LaneSums? {
    switch self {
    case .product, .siblings: return nil
    case .sum(let a, let b, _):
      return LaneSums(
        in: memory, at: byteOffset, count: lanes.count, width: a.columns * b.columns)
    case .tiles(_, let plan, _):
      guard !plan.columnSums.isEmpty else { return nil }
      let sums = plan.sums(in: memory, at: byteOffset)
      sums.clear()
      return sums
    }
  }

  /// What a worker needs for the member's tiles.
  func need(lanes: RowLanes, bf16: Bool) -> ScratchNeed {
    var need = ScratchNeed()
    switch self {
    case .product(let a, let b, let transposedB, let c):
      let right = b.layout.transposed(if: transposedB)
      for columns in Panels(m: c.rows, n: c.columns, k: a.columns).columnExtents {
        for rows in lanes.tileExtents {
          need.include(
            ProductForm(
              a: a.layout.part(rows: rows, columns: a.columns),
              b: right.part(rows: a.columns, columns: columns),
              c: c.layout.part(rows: rows, columns: columns)), bf16: bf16)
        }
      }
    case .siblings(let a, let pairs):
      for rows in lanes.tileExtents {
        need.include(
          siblings: a.layout.part(rows: rows, columns: a.columns),
          pairs.map {
            ($0.b.layout.transposed, $0.c.layout.part(rows: rows, columns: $0.c.columns))
          },
          bf16: bf16)
      }
    case .sum(let a, let b, _): need.include(lanes, sumOf: a.layout, b.layout, bf16: bf16)
    case .tiles(_, let plan, _): need.include(plan.scratchByteCount, for: .task)
    }
    return need
  }

  /// Where each run of the sums belongs.
  func targets(_ slices: [MemorySlice]) -> [(first: Int, target: MemorySlice)] {
    switch self {
    case .product, .siblings: []
    case .sum(_, _, let c): [(0, slices[c])]
    case .tiles(_, let plan, let places):
      plan.columnSums.enumerated().map { index, binding in
        guard case .memory(let slice) = places[binding] else {
          preconditionFailure("a sum over all rows lies in memory")
        }
        return (index * plan.columns, slices[slice])
      }
    }
  }
}
