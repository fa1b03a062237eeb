/// The tokens and targets of one run of the graph: [batch · sequence] each.
package struct Batch: Sendable {
  package let ids: [Int32]
  package let targets: [Int32]
  /// The place of each token in its passage.
  package let positions: [Int32]
  /// The number of each token's passage in its window; padding is a passage of its own.
  package let segments: [Int32]

  /// Wraps sequences of one length that were made elsewhere.
  package init(ids: [Int32], targets: [Int32], sequence: Int) {
    precondition(ids.count == targets.count, "a target for each id")
    self.ids = ids
    self.targets = targets
    positions = ids.indices.map { Int32($0 % sequence) }
    segments = [Int32](repeating: 0, count: ids.count)
  }

  /// Gathers windows; missing ones (at the end of an evaluation) are padding.
  package init(_ windows: TokenWindows, _ chosen: some Collection<Int>, size: Int) {
    var ids: [Int32] = []
    var targets: [Int32] = []
    var positions: [Int32] = []
    var segments: [Int32] = []
    func pad(to end: Int, segment: Int32) {
      let missing = end - ids.count
      ids += [Int32](repeating: 0, count: missing)
      targets += [Int32](repeating: TokenWindows.ignored, count: missing)
      positions += (0..<Int32(missing)).map { $0 % Int32(windows.length) }
      segments += [Int32](repeating: segment, count: missing)
    }
    for (row, window) in chosen.enumerated() {
      var segment: Int32 = 0
      for passage in windows.passages(window) {
        ids += windows.ids(passage)
        targets += windows.targets(passage)
        positions += 0..<Int32(passage.count)
        segments += [Int32](repeating: segment, count: passage.count)
        segment += 1
      }
      pad(to: (row + 1) * windows.length, segment: segment)
    }
    pad(to: size * windows.length, segment: 0)
    self.ids = ids
    self.targets = targets
    self.positions = positions
    self.segments = segments
  }

  /// The targets that count.
  package var targetCount: Int { targets.count { $0 >= 0 } }
}
