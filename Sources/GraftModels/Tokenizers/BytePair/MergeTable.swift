/// What two neighbouring tokens merge into, and how early: an open-addressing hash table.
struct MergeTable: Sendable {
  /// The value of pairs that don't merge; greater than any rank.
  static let none = UInt64.max

  private struct Entry {
    var pair: UInt64
    /// The rank in the upper half, the merged token in the lower.
    var merge: UInt64
  }

  private var entries: [Entry]
  private let shift: UInt64

  init(capacity: Int) {
    var bits: UInt64 = 4
    while 1 << bits < capacity * 2 { bits += 1 }
    shift = 64 - bits
    entries = [Entry](repeating: Entry(pair: .max, merge: Self.none), count: 1 << bits)
  }

  /// Adds a merge; the last one of a pair counts.
  mutating func insert(_ left: Int32, _ right: Int32, rank: Int, result: Int32) {
    let pair = Self.key(left, right)
    let slot = slot(of: pair)
    entries[slot] = Entry(
      pair: pair, merge: UInt64(rank) << 32 | UInt64(UInt32(bitPattern: result)))
  }

  /// Rank and result of a pair; ``none`` if it doesn't merge.
  @inline(__always)
  func merge(_ left: Int32, _ right: Int32) -> UInt64 {
    entries[slot(of: Self.key(left, right))].merge
  }

  @inline(__always)
  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  @inline(__always)
  private func slot(of pair: UInt64) -> Int {
    let entries = entries.span
    let mask = entries.count &- 1
    var slot = Int(truncatingIfNeeded: (pair &* 0x9E37_79B9_7F4A_7C15) >> shift)
    while entries[slot].pair != pair, entries[slot].pair != .max { slot = (slot &+ 1) & mask }
    return slot
  }
}
