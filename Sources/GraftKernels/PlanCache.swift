internal import Synchronization

/// The plans of the programs seen so far.
final class PlanCache: Sendable {
  private struct Key: Hashable {
    let program: TileProgram
    let storesLast: Bool
  }

  private let plans = Mutex<[Key: TilePlan]>([:])

  func plan(_ program: TileProgram, storesLast: Bool) -> TilePlan {
    let key = Key(program: program, storesLast: storesLast)
    return plans.withLock { plans in
      if let plan = plans[key] { return plan }
      let plan = TilePlan(program, storesLast: storesLast)
      plans[key] = plan
      return plan
    }
  }
}
