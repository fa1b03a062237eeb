/// A ZIP archive taken apart, to be put together again with sizes, offsets and checksums that are right.
struct Archive {
  /// A file of the archive.
  struct Member {
    var name: [UInt8]
    /// The bytes in the archive, as they are or deflated.
    var stored: [UInt8]
    /// 0 for bytes as they are, 8 for deflated ones.
    var method: Int
    /// The size and checksum of what was deflated.
    var packed: (byteCount: Int, checksum: Int)

    /// The bytes as they are; nil where they are deflated.
    var contents: [UInt8]? { method == 0 ? stored : nil }

    var isPickle: Bool { name.suffix(4).elementsEqual(".pkl".utf8) }
    var isArray: Bool { name.suffix(4).elementsEqual(".npy".utf8) }
    var isText: Bool { name.suffix(5).elementsEqual(".json".utf8) }
  }

  var members: [Member] = []

  private static let end = Array("PK\u{5}\u{6}".utf8)
  private static let entry = Array("PK\u{1}\u{2}".utf8)
  private static let local = Array("PK\u{3}\u{4}".utf8)

  /// Takes bytes apart; nil where they aren't an archive that can be followed.
  init?(_ bytes: [UInt8]) {
    guard bytes.count >= 22,
      let end = (0...bytes.count - 22).last(where: { bytes[$0...].starts(with: Self.end) })
    else { return nil }
    var place = bytes[end + 16..<end + 20].number
    for _ in 0..<bytes[end + 10..<end + 12].number {
      guard place <= end - 46, bytes[place...].starts(with: Self.entry) else { return nil }
      let fields = bytes[place..<place + 46]
      func field(_ offset: Int, _ width: Int) -> Int {
        fields[(place + offset)..<(place + offset + width)].number
      }
      let header = field(42, 4)
      let nameEnd = place + 46 + field(28, 2)
      guard nameEnd <= end, header <= end - 30 else { return nil }
      let start =
        header + 30 + bytes[header + 26..<header + 28].number
        + bytes[header + 28..<header + 30].number
      guard start <= end, field(20, 4) <= end - start else { return nil }
      members.append(
        Member(
          name: Array(bytes[place + 46..<nameEnd]),
          stored: Array(bytes[start..<start + field(20, 4)]), method: field(10, 2),
          packed: (field(24, 4), field(16, 4))))
      place = nameEnd + field(30, 2) + field(32, 2)
    }
  }

  /// The archive.
  var bytes: [UInt8] {
    var result: [UInt8] = []
    var directory: [UInt8] = []
    for member in members {
      let facts =
        member.contents.map { ($0.count, Self.checksum(of: $0)) }
        ?? (member.packed.byteCount, member.packed.checksum)
      let common: [[UInt8]] = [
        [20, 0, 0, 0], member.method.littleEndian(2), [0, 0, 0, 0], facts.1.littleEndian(4),
        member.stored.count.littleEndian(4), facts.0.littleEndian(4),
        member.name.count.littleEndian(2), [0, 0],
      ]
      directory += Self.entry + [20, 0]
      directory += common.joined()
      directory += [UInt8](repeating: 0, count: 10) + result.count.littleEndian(4)
      directory += member.name
      result += Self.local
      result += common.joined()
      result += member.name + member.stored
    }
    let count = members.count.littleEndian(2)
    let tail: [[UInt8]] = [
      directory, Self.end, [0, 0, 0, 0], count, count, directory.count.littleEndian(4),
      result.count.littleEndian(4), [0, 0],
    ]
    return result + tail.joined()
  }

  /// The CRC-32 of bytes.
  static func checksum(of bytes: [UInt8]) -> Int {
    var value: UInt32 = .max
    for byte in bytes { value = table[Int(UInt8(truncatingIfNeeded: value) ^ byte)] ^ value >> 8 }
    return Int(~value)
  }

  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { value, _ in value >> 1 ^ (value & 1 == 0 ? 0 : 0xEDB8_8320) }
  }
}
