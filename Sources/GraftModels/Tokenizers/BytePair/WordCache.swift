/// The ids of words met lately, by the bytes of the word: a direct-mapped table of words up to 31 bytes.
struct WordCache: Sendable {
  /// A word's bytes, and its length in the last byte: equal keys are equal words.
  typealias Key = SIMD4<UInt64>

  static let longestWord = 31
  private static let slotCount = 1 << 15
  private static let maximumIDs = 1 << 19

  private struct Slot {
    var key = Key()
    var start: Int32 = 0
    var count: Int32 = 0
  }

  private var slots = [Slot](repeating: Slot(), count: slotCount)
  private var ids: [Int32] = []

  /// The key of a word of 1...31 bytes.
  @inline(__always)
  static func key(of word: Span<UInt8>) -> Key {
    var key = Key()
    let length = word.count
    if length <= 8 {
      key[0] = word.bits(from: 0, to: length)
    } else {
      key[0] = word.bits(from: 0, to: 8)
      key[1] = word.bits(from: 8, to: min(16, length))
      if length > 16 {
        key[2] = word.bits(from: 16, to: min(24, length))
        if length > 24 { key[3] = word.bits(from: 24, to: length) }
      }
    }
    key[3] |= UInt64(length) << 56
    return key
  }

  /// Appends the ids of a word if it is here.
  @inline(__always)
  func append(_ key: Key, to output: inout [Int32]) -> Bool {
    let slots = slots.span
    let slot = Self.slot(of: key)
    guard slots[slot].key == key else { return false }
    let ids = ids.span
    let start = Int(slots[slot].start)
    let count = Int(slots[slot].count)
    if count == 1 {
      output.append(ids[start])
    } else {
      for index in start..<start &+ count { output.append(ids[index]) }
    }
    return true
  }

  /// Remembers a word's ids in place of the word that had its slot.
  mutating func insert(_ key: Key, _ wordIDs: ArraySlice<Int32>) {
    if ids.count + wordIDs.count > Self.maximumIDs { self = WordCache() }
    slots[Self.slot(of: key)] = Slot(
      key: key, start: Int32(ids.count), count: Int32(wordIDs.count))
    ids += wordIDs
  }

  @inline(__always)
  private static func slot(of key: Key) -> Int {
    var hash = key[0] &* 0x9E37_79B9_7F4A_7C15
    hash ^= (key[1] &* 0xC2B2_AE3D_27D4_EB4F) &+ (key[2] &* 0x1656_67B1_9E37_79F9)
    hash ^= key[3] &* 0x27D4_EB2F_1656_67C5
    hash ^= hash >> 32
    return Int(truncatingIfNeeded: (hash &* 0x9E37_79B9_7F4A_7C15) >> 49)
  }
}

extension Span<UInt8> {
  /// Up to eight bytes as a little-endian number.
  @inline(__always)
  fileprivate func bits(from start: Int, to end: Int) -> UInt64 {
    var bits: UInt64 = 0
    var shift: UInt64 = 0
    for index in start..<end {
      bits |= UInt64(self[index]) &<< shift
      shift &+= 8
    }
    return bits
  }
}
