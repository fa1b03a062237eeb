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
    Batch(windows, nextWindows(), size: batchSize)
  }

  /// The batches of the next step.
  package mutating func next(_ count: Int) -> StepBatches {
    StepBatches(windows, (0..<count).map { _ in nextWindows() }, size: batchSize)
  }

  private mutating func nextWindows() -> [Int] { (0..<batchSize).map { _ in nextWindow() } }

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
