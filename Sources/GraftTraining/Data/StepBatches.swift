/// The batches of one optimizer step, each made when it is asked for, so that one at a time is in memory.
package struct StepBatches: RandomAccessCollection, Sendable {
  private let windows: TokenWindows
  private let chosen: [[Int]]
  private let size: Int

  /// Chooses the windows of each batch.
  init(_ windows: TokenWindows, _ chosen: [[Int]], size: Int) {
    self.windows = windows
    self.chosen = chosen
    self.size = size
  }

  package var startIndex: Int { 0 }
  package var endIndex: Int { chosen.count }
  package subscript(index: Int) -> Batch { Batch(windows, chosen[index], size: size) }

  /// Tokens read, without padding.
  package var tokenCount: Int { chosen.joined().reduce(0) { $0 + windows.tokenCount(of: $1) } }
  /// Tokens predicted.
  package var targetCount: Int { chosen.joined().reduce(0) { $0 + windows.targetCount(of: $1) } }
}
