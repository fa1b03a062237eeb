internal import CKernels
package import GraftCore

/// Products and tile programs over the same rows, run tile by tile of rows: what one member hands to the next stays in
/// the cache of the core that made it.
///
/// A chain has `rows` rows. The left operand and the result of a product have that many, the iteration space of a
/// tile program a multiple of it, so that a tile of rows needs nothing from another tile. Members compute what they would
/// compute alone, with the same bits: products are cut into the same panels.
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
    /// A program without column sums, and the place of each binding.
    case tiles(TileProgram, [Place])
  }

  let rows: Int
  let members: [PlannedMember]
  let scratchByteCount: Int

  /// Prepares a chain of `rows` rows whose values in scratch take `scratchByteCount` bytes a tile.
  package init(rows: Int, members: [Member], scratchByteCount: Int) {
    self.rows = rows
    self.scratchByteCount = scratchByteCount
    self.members = members.map(PlannedMember.init)
  }

  /// The rows of a tile, which are those of a product's panel.
  package static let rowsPerTile = 128

  /// Whether `rows` make enough tiles to keep several threads busy; a function of the shape alone.
  package static func isWorthwhile(rows: Int) -> Bool { rows >= 8 * rowsPerTile }
}

/// A member with its tiles or panels chosen.
enum PlannedMember: Sendable {
  case product(a: RowChain.Operand, b: RowChain.Operand, transposedB: Bool, c: RowChain.Operand)
  case tiles(TileProgram, TilePlan, [RowChain.Place])

  init(_ member: RowChain.Member) {
    switch member {
    case .product(let a, let b, let transposedB, let c):
      self = .product(a: a, b: b, transposedB: transposedB, c: c)
    case .tiles(let program, let places):
      let plan = TilePlan(program, storesLast: false)
      precondition(plan.columnSums.isEmpty, "a sum over all rows isn't made by tiles of rows")
      self = .tiles(program, plan, places)
    }
  }
}

extension Kernels {
  /// Runs a chain over all its rows; `slices` are the values that stand in memory as a whole.
  package func run(_ chain: RowChain, _ slices: [MemorySlice]) {
    let (level, bf16, workers) = (level, hasBF16DotProduct, workers)
    runs(of: chain.rows, length: RowChain.rowsPerTile) { rows, worker in
      let worker = workers[worker]
      let scratch = unsafe worker.reserve(chain.scratchByteCount, for: .chain)
      unsafe RowTile(
        rows: rows, chain: chain, slices: slices, scratch: scratch, worker: worker, bf16: bf16,
        level: level
      ).run()
    }
  }
}

/// One tile of rows on one thread.
@unsafe private struct RowTile {
  let rows: Range<Int>
  let chain: RowChain
  let slices: [MemorySlice]
  let scratch: UnsafeMutableRawPointer
  let worker: Worker
  let bf16: Bool
  let level: Int32

  func run() {
    for member in unsafe chain.members {
      switch member {
      case .product(let a, let b, let transposedB, let c):
        unsafe multiply(matrix(a), matrix(b), transposedB, matrix(c))
      case .tiles(let program, let plan, let places):
        let job = unsafe TileJob(plan: plan, level: level)
        unsafe run(program, job, places)
      }
    }
  }

  /// The address that a value's first row has, or would have.
  ///
  /// A value in scratch begins with the tile's first row; the rows before it are never touched, so the address may lie
  /// outside of the scratch.
  private func address(_ place: RowChain.Place) -> UnsafeMutableRawPointer {
    switch place {
    case .memory(let index): unsafe slices[index].address
    case .scratch(let byte, let bytesPerRow):
      unsafe scratch + (byte - rows.lowerBound * bytesPerRow)
    }
  }

  private func matrix(_ operand: RowChain.Operand) -> Matrix {
    unsafe Matrix(
      address(operand.place), operand.dtype, rows: operand.rows, columns: operand.columns)
  }

  private func multiply(_ a: Matrix, _ b: Matrix, _ transposedB: Bool, _ c: Matrix) {
    let right = unsafe transposedB ? b.transposed : b
    let panels = unsafe Panels(m: c.rows, n: c.columns, k: a.columns)
    for panel in 0..<panels.columnPanels {
      let columns = panels[panel].columns
      unsafe worker.multiply(
        a[rows, 0..<a.columns], right[0..<a.columns, columns], into: c[rows, columns], bf16: bf16,
        level: level)
    }
  }

  private func run(_ program: TileProgram, _ job: TileJob, _ places: [RowChain.Place]) {
    let multiple = unsafe program.rows / chain.rows
    let own = unsafe rows.lowerBound * multiple..<rows.upperBound * multiple
    unsafe job.run(worker, places.map { unsafe address($0) }, sums: nil) { tile in
      job.plan.forEachTile(ofRows: own, of: program, tile)
    }
  }
}
