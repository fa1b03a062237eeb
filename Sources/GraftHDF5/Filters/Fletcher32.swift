internal import CHDF5

/// HDF5's filter 3: Fletcher's checksum over big-endian 16-bit words, behind the bytes.
enum Fletcher32 {
  /// The bytes before the checksum; nil when it isn't theirs.
  static func decode(_ bytes: [UInt8]) -> [UInt8]? {
    guard bytes.count >= 4 else { return nil }
    let sum = bytes.suffix(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    let computed = unsafe graft_fletcher32(bytes, bytes.count - 4)
    return computed == sum ? Array(bytes.dropLast(4)) : nil
  }
}
