internal import GraftCore

/// Little-endian numbers in a run of bytes whose length the caller has checked.
struct ZipFields {
  private let bytes: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }

  init(_ bytes: [UInt8]) { self.bytes = bytes[...] }

  @inline(__always)
  private func number<Number: FixedWidthInteger & BitwiseCopyable>(at offset: Int) -> Number {
    precondition(
      offset >= 0 && offset <= bytes.count - MemoryLayout<Number>.size, "a number inside the bytes")
    // Safety: the bytes are there, and every bit pattern is a number.
    return unsafe bytes.withUnsafeBytes {
      unsafe Number(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Number.self))
    }
  }

  func u16(at offset: Int) -> Int { Int(number(at: offset) as UInt16) }
  func u32(at offset: Int) -> UInt32 { number(at: offset) }
  func u64(at offset: Int) -> UInt64 { number(at: offset) }
}

/// The signatures of a ZIP file's records.
enum ZipSignature {
  static let local: UInt32 = 0x0403_4B50
  static let entry: UInt32 = 0x0201_4B50
  static let end: UInt32 = 0x0605_4B50
  static let end64: UInt32 = 0x0606_4B50
  static let locator64: UInt32 = 0x0706_4B50
  static let descriptor: UInt32 = 0x0807_4B50
}
