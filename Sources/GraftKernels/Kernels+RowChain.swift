package import GraftCore

extension Kernels {
  /// Runs a chain over all its rows; `slices` are the values that stand in memory as a whole.
  package func run(_ chain: RowChain, _ slices: [MemorySlice]) {
    let lanes = RowLanes(rows: chain.rows)
    let (level, bf16, workers) = (level, hasBF16DotProduct, workers)
    let byteCounts = chain.members.map { $0.sumByteCount(lanes: lanes) }
    shared.lend(byteCounts.reduce(0, +)) { memory in
      var offset = 0
      let sums = zip(chain.members, byteCounts).map { member, byteCount in
        defer { offset += byteCount }
        return member.laneSums(lanes: lanes, in: memory, at: offset)
      }
      pool.run(count: lanes.count) { lane, worker in
        let worker = workers[worker]
        let scratch = unsafe worker.reserve(chain.scratchByteCount, for: .chain)
        lanes.forEachTile(of: lane) { rows, isFirst in
          unsafe RowTile(
            rows: rows, lane: lane, isFirst: isFirst, chain: chain, slices: slices, sums: sums,
            scratch: scratch, worker: worker, bf16: bf16, level: level
          ).run()
        }
      }
      for (member, sum) in zip(chain.members, sums) {
        sum?.add(level: level, member.targets(slices))
      }
    }
  }

  /// The scratch of a chain.
  package func need(_ chain: RowChain) -> ScratchNeed {
    let lanes = RowLanes(rows: chain.rows)
    var need = ScratchNeed()
    need.include(chain.scratchByteCount, for: .chain)
    need.includeShared(chain.members.reduce(0) { $0 + $1.sumByteCount(lanes: lanes) })
    for member in chain.members {
      need.include(member.need(lanes: lanes, bf16: hasBF16DotProduct))
    }
    return need
  }
}

/// One tile of rows on one thread.
@unsafe private struct RowTile {
  let rows: Range<Int>
  let lane: Int
  /// Whether the tile is its lane's first.
  let isFirst: Bool
  let chain: RowChain
  let slices: [MemorySlice]
  let sums: [LaneSums?]
  let scratch: UnsafeMutableRawPointer
  let worker: Worker
  let bf16: Bool
  let level: Int32

  func run() {
    for (index, member) in unsafe chain.members.enumerated() {
      switch member {
      case .product(let a, let b, let transposedB, let c):
        unsafe multiply(matrix(a), matrix(b), transposedB, matrix(c))
      case .siblings(let a, let pairs):
        let left = unsafe matrix(a)
        unsafe worker.multiplySiblings(
          left[rows, 0..<left.columns],
          pairs.map { pair in
            let c = unsafe matrix(pair.c)
            return unsafe (matrix(pair.b).transposed, c[rows, 0..<c.columns])
          }, bf16: bf16, level: level)
      case .sum(let a, let b, _):
        if let sums = unsafe sums[index] { unsafe sum(matrix(a), matrix(b), sums) }
      case .tiles(let program, let plan, let places):
        let job = unsafe TileJob(plan: plan, level: level)
        unsafe run(program, job, places, sums[index])
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

  private func sum(_ a: Matrix, _ b: Matrix, _ sums: LaneSums) {
    let sum = unsafe Matrix(sums.floats(lane: lane), .f32, rows: a.columns, columns: b.columns)
    unsafe worker.multiply(
      a[rows, 0..<a.columns].transposed, b[rows, 0..<b.columns], into: sum, accumulate: !isFirst,
      bf16: bf16, level: level)
  }

  private func run(
    _ program: TileProgram, _ job: TileJob, _ places: [RowChain.Place], _ sums: LaneSums?
  ) {
    let multiple = unsafe program.rows / chain.rows
    let own = unsafe rows.lowerBound * multiple..<rows.upperBound * multiple
    let addresses = unsafe places.map { unsafe address($0) }
    guard let sums else {
      return unsafe job.run(worker, addresses, sums: nil) { tile in
        job.plan.forEachTile(ofRows: own, of: program, tile)
      }
    }
    // The program's lanes are parts of the chain's, or made of several tiles of it.
    var first = own.lowerBound
    while first < own.upperBound {
      let lane = first / job.plan.laneRows
      let last = min(own.upperBound, (lane + 1) * job.plan.laneRows)
      unsafe job.run(worker, addresses, sums: sums.floats(lane: lane)) { tile in
        job.plan.forEachTile(ofRows: first..<last, of: program, tile)
      }
      first = last
    }
  }
}
