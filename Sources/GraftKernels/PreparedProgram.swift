package import GraftCore
internal import Synchronization

/// A tile program with its plans, made once and run many times.
package final class PreparedProgram: Sendable {
  package let program: TileProgram
  /// The plan for slices of which none is read after another that shares its bytes was written.
  private let usual: TilePlan
  /// The plan that keeps all memory as it was until everything is computed, once slices asked for it.
  private let storesLast = Mutex<TilePlan?>(nil)

  package init(_ program: TileProgram) {
    self.program = program
    usual = TilePlan(program, storesLast: false)
  }

  /// The plan for the slices that the bindings stand for.
  func plan(for slices: [MemorySlice]) -> TilePlan {
    guard usual.conflicts.contains(where: { slices[$0.read].overlaps(slices[$0.written]) })
    else { return usual }
    return planThatStoresLast
  }

  private var planThatStoresLast: TilePlan {
    storesLast.withLock { plan in
      let known = plan ?? TilePlan(program, storesLast: true)
      plan = known
      return known
    }
  }

  /// The scratch of a run, whichever slices there are.
  var need: ScratchNeed {
    var need = ScratchNeed()
    for plan in [usual] + (usual.conflicts.isEmpty ? [] : [planThatStoresLast]) {
      need.include(plan.scratchByteCount, for: .task)
      need.includeShared(plan.sumByteCount)
    }
    return need
  }

  /// - Precondition: there is a slice for each binding, of its dtype, that covers its rows.
  package func check(_ slices: [MemorySlice]) {
    precondition(program.bindings.count == slices.count, "a slice for each binding")
    for (binding, slice) in zip(program.bindings, slices) {
      precondition(binding.dtype == slice.dtype, "a slice has its binding's dtype")
      let rows = min(binding.rowModulus, (program.rows - 1) / binding.rowDivisor + 1)
      let width = binding.width == .columns ? program.columns : 1
      precondition(
        program.rows == 0 || slice.shape.elementCount >= rows * width, "a slice covers its rows")
    }
  }
}

extension MemorySlice {
  /// Whether two slices share bytes.
  func overlaps(_ other: MemorySlice) -> Bool {
    memory === other.memory && byteOffset < other.byteOffset + other.byteCount
      && other.byteOffset < byteOffset + byteCount
  }
}
