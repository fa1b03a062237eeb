internal import CKernels
package import GraftCore

extension Kernels {
  /// Runs a fused program; a slice may be both read and written at the same rows.
  package func run(_ program: TileProgram, _ slices: [MemorySlice]) {
    let prepared = PreparedProgram(program)
    prepared.check(slices)
    run(prepared, slices)
  }

  /// Runs a prepared program on slices that were checked.
  package func run(_ prepared: PreparedProgram, _ slices: [MemorySlice]) {
    guard prepared.program.rows > 0, prepared.program.columns > 0 else { return }
    let plan = prepared.plan(for: slices)
    let job = TileJob(plan: plan, level: level, streamed: streamed(prepared.program, slices))
    if plan.columnSums.isEmpty {
      let tilesPerTask = 16
      let rowTiles = (plan.rows + plan.tileRows - 1) / plan.tileRows
      let tiles = rowTiles * plan.tilesPerRow
      let workers = workers
      runs(of: tiles, length: tilesPerTask) { range, worker in
        unsafe job.run(workers[worker], slices.map { unsafe $0.address }, sums: nil) { tile in
          for index in range {
            let row = index / plan.tilesPerRow * plan.tileRows
            let column = index % plan.tilesPerRow * plan.tileColumns
            tile(
              row..<min(plan.rows, row + plan.tileRows),
              column..<min(plan.columns, column + plan.tileColumns))
          }
        }
      }
    } else {
      sumColumns(job, slices)
    }
  }

  /// The bindings that are written around the caches, a bit each: where a run moves more than the last cache holds, what it writes
  /// isn't there any more for the next reader, and a store that first reads its line would move half as much again.
  ///
  /// What is changed in place was read anyway.
  private func streamed(_ program: TileProgram, _ slices: [MemorySlice]) -> UInt64 {
    guard slices.reduce(0, { $0 + $1.byteCount }) > cacheByteCount else { return 0 }
    var (stored, loaded) = (Set<Int>(), Set<Int>())
    for instruction in program.instructions {
      switch instruction {
      case .store(_, let binding): stored.insert(binding)
      case .load(let binding): loaded.insert(binding)
      case .constant, .dropoutMask, .unary, .binary, .select, .round, .rotateHalf, .rowReduce,
        .columnSum:
        break
      }
    }
    return stored.reduce(into: 0) { streamed, binding in
      let isRead = loaded.contains { $0 == binding || slices[$0].overlaps(slices[binding]) }
      if binding < 64, !isRead { streamed |= 1 << binding }
    }
  }

  /// Rows go to a fixed number of lanes, each with its own sums; the lanes are added in order.
  private func sumColumns(_ job: TileJob, _ slices: [MemorySlice]) {
    let (plan, workers) = (job.plan, workers)
    shared.lend(plan.sumByteCount) { memory in
      let sums = plan.sums(in: memory)
      sums.clear()
      pool.run(count: plan.laneCount) { lane, worker in
        let last = min(plan.rows, (lane + 1) * plan.laneRows)
        let addresses = unsafe slices.map { unsafe $0.address }
        unsafe job.run(workers[worker], addresses, sums: sums.floats(lane: lane)) { tile in
          for row in stride(from: lane * plan.laneRows, to: last, by: plan.tileRows) {
            for column in stride(from: 0, to: plan.columns, by: plan.tileColumns) {
              tile(
                row..<min(last, row + plan.tileRows),
                column..<min(plan.columns, column + plan.tileColumns))
            }
          }
        }
      }
      sums.add(
        level: level,
        plan.columnSums.enumerated().map { ($0 * plan.columns, slices[$1]) })
    }
  }

  /// The scratch of a prepared program.
  package func need(_ prepared: PreparedProgram) -> ScratchNeed { prepared.need }
}

/// What every task of one run needs.
struct TileJob: Sendable {
  let plan: TilePlan
  let level: Int32
  /// The bindings, a bit each, that are written around the caches.
  var streamed: UInt64 = 0

  /// Lends `body` a function that runs one tile; `addresses` are where the bindings' first rows stand.
  func run(
    _ worker: Worker, _ addresses: [UnsafeMutableRawPointer],
    sums: UnsafeMutablePointer<Float>?,
    _ body: (_ tile: (_ rows: Range<Int>, _ columns: Range<Int>) -> Void) -> Void
  ) {
    let pointers = unsafe addresses.count
    let room = unsafe worker.reserve(plan.scratchByteCount)
    let memory = unsafe room.assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
    let scratch = unsafe (room + (pointers * 8 + 63) / 64 * 64)
      .assumingMemoryBound(to: Float.self)
    for i in unsafe addresses.indices { unsafe memory[i] = addresses[i] }
    unsafe plan.withProgram(streamed: streamed) { program in
      body { rows, columns in
        unsafe graft_tile_run(
          level, program, memory, Int64(rows.lowerBound), Int64(rows.count),
          Int64(columns.lowerBound), Int64(columns.count), scratch, sums)
      }
    }
  }
}

extension TilePlan {
  /// The bytes of a task: the bindings' addresses, then slots.
  var scratchByteCount: Int { bindings.count * 8 + 64 + slots * slotStride * 4 }

  /// The lanes that sum columns.
  var laneCount: Int { laneRows == 0 ? 0 : (rows + laneRows - 1) / laneRows }

  /// The bytes of all lanes' sums.
  var sumByteCount: Int {
    LaneSums.byteCount(count: laneCount, width: columnSums.count * columns)
  }

  /// All lanes' sums in some memory.
  func sums(in memory: Memory, at byteOffset: Int = 0) -> LaneSums {
    LaneSums(
      in: memory, at: byteOffset, count: laneCount, width: columnSums.count * columns)
  }

  /// Lends `body` the plan as the tile machine takes it.
  fileprivate func withProgram(
    streamed: UInt64, _ body: (UnsafePointer<graft_tile_program>) -> Void
  ) {
    unsafe steps.withUnsafeBufferPointer { steps in
      unsafe bindings.withUnsafeBufferPointer { bindings in
        unsafe chains.withUnsafeBufferPointer { chains in
          unsafe links.withUnsafeBufferPointer { links in
            unsafe operands.withUnsafeBufferPointer { operands in
              unsafe masks.withUnsafeBufferPointer { masks in
                var program = unsafe graft_tile_program(
                  steps: steps.baseAddress, step_count: Int64(steps.count),
                  bindings: bindings.baseAddress, chains: chains.baseAddress,
                  links: links.baseAddress, operands: operands.baseAddress,
                  masks: masks.baseAddress, columns: Int64(columns),
                  slot_stride: Int64(slotStride), streamed: streamed)
                unsafe body(&program)
              }
            }
          }
        }
      }
    }
  }
}
