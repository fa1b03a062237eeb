/// The objects of a file that were met, by the addresses of their headers.
///
/// Open addressing by a product with a number that nobody outside can foresee: a set of the standard library takes several times as long.
struct ObjectTable {
  /// What stands at an address.
  enum Object: Equatable {
    case group
    /// A dataset, by its place among those found.
    case dataset(Int)
  }

  /// Addresses from 1 on, 0 is an empty slot; the address that means nowhere has no object.
  private var keys: [UInt64]
  /// Places of datasets; -1 is a group.
  private var values: [Int32]
  private var count = 0
  private let factor = UInt64.random(in: 0 ... .max) | 1

  /// An empty table, with room for some objects.
  init(reserving count: Int) {
    var size = 16
    while size < 2 * count { size *= 2 }
    keys = [UInt64](repeating: 0, count: size)
    values = [Int32](repeating: 0, count: size)
  }

  /// The object at an address, if it was met.
  subscript(address: UInt64) -> Object? {
    let slot = slot(of: address &+ 1)
    guard keys[slot] != 0 else { return nil }
    return values[slot] < 0 ? .group : .dataset(Int(values[slot]))
  }

  /// Adds an object; false where one is known at the address.
  mutating func add(_ object: Object, at address: UInt64) -> Bool {
    if 2 * count >= keys.count { grow() }
    let slot = slot(of: address &+ 1)
    guard keys[slot] == 0 else { return false }
    keys[slot] = address &+ 1
    values[slot] = if case .dataset(let place) = object { Int32(place) } else { -1 }
    count += 1
    return true
  }

  /// The slot that has a key, or is free for it.
  private func slot(of key: UInt64) -> Int {
    let mask = keys.count - 1
    let product = key &* factor
    var slot = Int(truncatingIfNeeded: (product ^ product >> 32) &* factor >> 32) & mask
    while keys[slot] != 0, keys[slot] != key { slot = (slot + 1) & mask }
    return slot
  }

  private mutating func grow() {
    let (oldKeys, oldValues) = (keys, values)
    keys = [UInt64](repeating: 0, count: 2 * oldKeys.count)
    values = [Int32](repeating: 0, count: 2 * oldKeys.count)
    for (key, value) in zip(oldKeys, oldValues) where key != 0 {
      let slot = slot(of: key)
      (keys[slot], values[slot]) = (key, value)
    }
  }
}
