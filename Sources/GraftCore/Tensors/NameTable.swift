/// Finds names that were met before, in eight bytes for each place: the names themselves stay where they are.
///
/// Open addressing by a hash that nobody outside can foresee. A slot has a name's position and 32 bits of its hash: these tell almost all
/// names apart, and the table grows without looking at any.
@usableFromInline
package struct NameTable: Sendable {
  /// Hashes above, positions from 1 on below; 0 is an empty slot.
  @usableFromInline
  var slots: [UInt64]
  /// How many names are in the table.
  @usableFromInline
  package internal(set) var count = 0

  /// What is taken at once at most: how many names a file says that it has isn't believed.
  private static let mostReserved = 1 << 17

  /// An empty table, with room for some names.
  package init(reserving count: Int = 0) {
    var size = 16
    while size < 2 * min(count, Self.mostReserved) { size *= 2 }
    slots = [UInt64](repeating: 0, count: size)
  }

  /// The hash of a name's bytes.
  package static func hash(_ name: RawSpan) -> UInt32 {
    var hasher = Hasher()
    unsafe name.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    return UInt32(truncatingIfNeeded: hasher.finalize())
  }

  /// The hash of a name.
  package static func hash(_ name: [UInt8]) -> UInt32 { name.withRawBytes { hash($0) } }

  /// The position of a name; `isAt` says whether it is the one at a position.
  @inlinable
  package func position(_ hash: UInt32, where isAt: (_ position: Int) -> Bool) -> Int? {
    let mask = slots.count - 1
    var slot = Int(hash) & mask
    while slots[slot] != 0 {
      let found = slots[slot]
      if UInt32(truncatingIfNeeded: found >> 32) == hash {
        let position = Int(found & 0xFFFF_FFFF) - 1
        if isAt(position) { return position }
      }
      slot = (slot + 1) & mask
    }
    return nil
  }

  /// Adds a name that isn't there.
  ///
  /// - Precondition: the position is below 2³² − 1.
  package mutating func add(_ hash: UInt32, at position: Int) {
    precondition(position >= 0 && position < UInt32.max, "a position of 32 bits")
    if 4 * count >= 3 * slots.count { grow() }
    count += 1
    insert(UInt64(hash) << 32 | UInt64(position + 1))
  }

  /// Adds a name where it isn't there; false where it is.
  ///
  /// - Parameter isAt: Whether it is the name at a position.
  /// - Precondition: the position is below 2³² − 1.
  @inlinable
  package mutating func add(
    _ hash: UInt32, at position: Int, unless isAt: (_ position: Int) -> Bool
  ) -> Bool {
    precondition(position >= 0 && position < UInt32.max, "a position of 32 bits")
    if 4 * count >= 3 * slots.count { grow() }
    let mask = slots.count - 1
    var slot = Int(hash) & mask
    while slots[slot] != 0 {
      let found = slots[slot]
      if UInt32(truncatingIfNeeded: found >> 32) == hash, isAt(Int(found & 0xFFFF_FFFF) - 1) {
        return false
      }
      slot = (slot + 1) & mask
    }
    slots[slot] = UInt64(hash) << 32 | UInt64(position + 1)
    count += 1
    return true
  }

  private mutating func insert(_ entry: UInt64) {
    let mask = slots.count - 1
    var slot = Int(entry >> 32) & mask
    while slots[slot] != 0 { slot = (slot + 1) & mask }
    slots[slot] = entry
  }

  @usableFromInline
  mutating func grow() {
    let old = slots
    slots = [UInt64](repeating: 0, count: 2 * old.count)
    for entry in old where entry != 0 { insert(entry) }
  }
}

// MARK: - Tables of tensors

extension NameTable {
  /// A table of tensors by their names; of one name the first counts.
  package init(_ tensors: [TensorInfo]) {
    self.init(reserving: tensors.count)
    for (position, tensor) in tensors.enumerated() {
      _ = insert(tensor.name, at: position) { tensors[$0].name }
    }
  }

  /// The position of a tensor by its name.
  package func position(of name: TensorName, in tensors: [TensorInfo]) -> Int? {
    position(Self.hash(name.utf8)) { tensors[$0].name == name }
  }
}
