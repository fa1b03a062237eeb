internal import GraftCore

/// Little-endian numbers in a run of bytes whose length the caller has checked.
struct ZipFields {
  private let bytes: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }

  init(_ bytes: [UInt8]) { self.bytes = bytes[...] }

  /// A number of 1 to 8 bytes.
  private func number(at offset: Int, width: Int) -> UInt64 {
    let start = bytes.startIndex + offset
    var value: UInt64 = 0
    for position in 0..<width { value |= UInt64(bytes[start + position]) << UInt64(8 * position) }
    return value
  }

  func u16(at offset: Int) -> Int { Int(number(at: offset, width: 2)) }
  func u32(at offset: Int) -> UInt32 { UInt32(number(at: offset, width: 4)) }
  func u64(at offset: Int) -> UInt64 { number(at: offset, width: 8) }
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
