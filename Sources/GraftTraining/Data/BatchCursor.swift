/// An endless, resumable sequence of batches over windows.
///
/// The whole state is the number of windows taken: epoch and place follow from it.
package struct BatchCursor: Sendable {
  let windows: TokenWindows
  let batchSize: Int
  let seed: UInt64
  let shuffles: Bool
  /// Windows taken since the run began.
  package private(set) var taken: Int
  private var order: [Int] = []
  private var orderEpoch = -1

  package init(
    _ windows: TokenWindows, batchSize: Int, seed: UInt64, shuffles: Bool, taken: Int = 0
  ) {
    self.windows = windows
    self.batchSize = batchSize
    self.seed = seed
    self.shuffles = shuffles
    self.taken = taken
  }

  /// The next batch; an epoch's end may fall inside it.
  package mutating func next() -> Batch {
    let chosen = (0..<batchSize).map { _ in nextWindow() }
    return Batch(windows, chosen, size: batchSize)
  }

  private mutating func nextWindow() -> Int {
    let epoch = taken / windows.count
    if epoch != orderEpoch {
      order = windows.order(epoch: epoch, seed: seed, shuffles: shuffles)
      orderEpoch = epoch
    }
    defer { taken += 1 }
    return order[taken % windows.count]
  }
}

/// The ids and targets of one run of the graph: [batch · sequence] each.
package struct Batch: Sendable {
  package let ids: [Int32]
  package let targets: [Int32]

  /// Wraps ids and targets made elsewhere: [batch · sequence] each.
  package init(ids: [Int32], targets: [Int32]) {
    precondition(ids.count == targets.count, "a target for each id")
    self.ids = ids
    self.targets = targets
  }

  /// The targets that count.
  package var targetCount: Int { targets.count { $0 >= 0 } }

  /// Gathers windows; missing ones (at the end of an evaluation) are padding without targets.
  package init(_ windows: TokenWindows, _ chosen: some Collection<Int>, size: Int) {
    var ids = chosen.flatMap { windows.ids($0) }
    var targets = chosen.flatMap { windows.targets($0) }
    let padding = (size - chosen.count) * windows.length
    ids += [Int32](repeating: 0, count: padding)
    targets += [Int32](repeating: TokenWindows.ignored, count: padding)
    self.ids = ids
    self.targets = targets
  }
}
