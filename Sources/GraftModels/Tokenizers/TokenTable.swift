internal import GraftCore

/// Token contents by id and ids by content: one arena of bytes and an open-addressing hash table.
struct TokenTable: Sendable {
  /// The number of ids, holes included.
  private(set) var count = 0
  private var arena: [UInt8] = []
  /// Where the content of each id stands in the arena; empty for holes.
  private var ranges: [Range<UInt32>] = []
  private var isPresent: [Bool] = []
  /// Ids plus 1 by hash; 0 for free slots.
  private var slots: [Int32] = [Int32](repeating: 0, count: 16)
  private var filled = 0

  /// Ids are below this, so that a hostile file can't ask for much memory.
  static let maximumCount = 1 << 21

  init() {}

  init(capacity: Int) {
    ranges.reserveCapacity(capacity)
    isPresent.reserveCapacity(capacity)
    arena.reserveCapacity(capacity * 8)
    var size = 16
    while size < capacity * 2 { size *= 2 }
    slots = [Int32](repeating: 0, count: size)
  }

  /// Adds a token; of contents with several ids the last one is found.
  /// - Precondition: `id` is at least 0 and below ``maximumCount``.
  mutating func insert(_ content: Span<UInt8>, id: Int) {
    while count <= id {
      ranges.append(0..<0)
      isPresent.append(false)
      count += 1
    }
    let start = UInt32(arena.count)
    for index in content.indices { arena.append(content[index]) }
    ranges[id] = start..<UInt32(arena.count)
    isPresent[id] = true
    filled += 1
    if filled * 2 > slots.count { grow() }
    let slot = slot(of: content)
    slots[slot] = Int32(id) + 1
  }

  /// Whether an id stands for a token.
  func contains(_ id: Int) -> Bool { id >= 0 && id < count && isPresent[id] }

  /// The content of an id, nothing for holes.
  func content(_ id: Int) -> ArraySlice<UInt8> {
    guard contains(id) else { return [] }
    return arena[Int(ranges[id].lowerBound)..<Int(ranges[id].upperBound)]
  }

  /// The id of a content.
  @inline(__always)
  func id(of content: Span<UInt8>) -> Int32? {
    let found = slots[slot(of: content)]
    return found == 0 ? nil : found - 1
  }

  /// The slot that holds the content or is free for it.
  private func slot(of content: Span<UInt8>) -> Int {
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: content.fingerprint) & mask
    while slots[slot] != 0, !holds(Int(slots[slot]) - 1, content) { slot = (slot + 1) & mask }
    return slot
  }

  private func holds(_ id: Int, _ content: Span<UInt8>) -> Bool {
    let range = ranges[id]
    guard range.count == content.count else { return false }
    for index in content.indices where arena[Int(range.lowerBound) + index] != content[index] {
      return false
    }
    return true
  }

  private mutating func grow() {
    let old = slots
    let bytes = arena
    slots = [Int32](repeating: 0, count: old.count * 2)
    for entry in old where entry != 0 {
      let range = ranges[Int(entry) - 1]
      let content = bytes.span.extracting(Int(range.lowerBound)..<Int(range.upperBound))
      slots[slot(of: content)] = entry
    }
  }
}

extension Span<UInt8> {
  /// A hash of the bytes; the same in every process.
  @inline(__always)
  var fingerprint: UInt64 {
    var hash = FNV1a()
    for index in indices { hash.combine(self[index]) }
    return hash.value ^ hash.value >> 29
  }
}
