internal import CZlib
internal import GraftCore

/// The CRC-32 of ZIP and PNG, of bytes that come in pieces.
struct Checksum: Equatable {
  /// The checksum of the bytes so far.
  private(set) var value: UInt32 = 0
  /// How many there were.
  private(set) var byteCount = 0

  /// The checksum of no bytes yet.
  init() {}

  /// The checksum of some bytes.
  init(of bytes: RawSpan) { combine(bytes) }

  /// Adds bytes.
  mutating func combine(_ bytes: RawSpan) {
    byteCount += bytes.byteCount
    let previous = value
    // Safety: the buffer is good for its count inside the closure.
    value = unsafe bytes.withUnsafeBytes { buffer in
      guard let start = buffer.baseAddress else { return previous }
      return unsafe UInt32(
        truncatingIfNeeded: crc32_z(
          uLong(previous), start.assumingMemoryBound(to: UInt8.self), buffer.count))
    }
  }

  /// Adds bytes of which only the checksum is at hand.
  mutating func combine(_ next: Checksum) {
    value = UInt32(
      truncatingIfNeeded: crc32_combine(uLong(value), uLong(next.value), next.byteCount))
    byteCount += next.byteCount
  }
}
