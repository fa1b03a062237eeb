/// Merges long runs of symbols with a heap of candidates, in n log n steps.
struct MergeQueue: Sendable {
  /// A binary heap of ranks (upper half) and positions (lower half), the least on top.
  private var heap: [UInt64] = []
  /// What each symbol and its right neighbour merge into.
  private var pairs: [UInt64] = []
  private var next: [Int32] = []
  private var previous: [Int32] = []

  private static let positionMask: UInt64 = 0xFFFF_FFFF

  /// Merges until nothing merges any more.
  mutating func merge(_ symbols: inout [Int32], by merges: MergeTable) {
    let count = symbols.count
    heap.removeAll(keepingCapacity: true)
    pairs = [UInt64](repeating: MergeTable.none, count: count)
    next = (0..<Int32(count)).map { $0 + 1 }
    previous = (0..<Int32(count)).map { $0 - 1 }
    for index in 1..<count {
      offer(index - 1, merges.merge(symbols[index - 1], symbols[index]))
    }
    while let top = pop() {
      let position = Int(top & Self.positionMask)
      let pair = pairs[position]
      guard pair != MergeTable.none, pair >> 32 == top >> 32 else { continue }
      let right = Int(next[position])
      symbols[position] = Int32(truncatingIfNeeded: pair)
      symbols[right] = -1
      pairs[right] = MergeTable.none
      next[position] = next[right]
      let after = Int(next[position])
      pairs[position] = MergeTable.none
      if after < count {
        previous[after] = Int32(position)
        offer(position, merges.merge(symbols[position], symbols[after]))
      }
      let before = Int(previous[position])
      if before >= 0 { offer(before, merges.merge(symbols[before], symbols[position])) }
    }
    symbols.removeAll { $0 < 0 }
  }

  private mutating func offer(_ position: Int, _ pair: UInt64) {
    pairs[position] = pair
    if pair != MergeTable.none { push(pair & ~Self.positionMask | UInt64(position)) }
  }

  private mutating func push(_ entry: UInt64) {
    heap.append(entry)
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard heap[child] < heap[parent] else { return }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  private mutating func pop() -> UInt64? {
    guard let top = heap.first, let last = heap.popLast() else { return nil }
    if heap.isEmpty { return top }
    var parent = 0
    while true {
      var child = 2 * parent + 1
      guard child < heap.count else { break }
      if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
      guard heap[child] < last else { break }
      heap[parent] = heap[child]
      parent = child
    }
    heap[parent] = last
    return top
  }
}
