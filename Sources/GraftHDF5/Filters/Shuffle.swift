internal import CHDF5

/// HDF5's filter 2: bytes of one weight beside each other; a rest that is no whole element stays behind them.
enum Shuffle {
  /// The bytes of one weight beside each other.
  static func encode(_ bytes: [UInt8], elementBytes: Int) -> [UInt8] {
    unsafe moved(bytes, elementBytes, graft_shuffle)
  }

  /// The elements again.
  static func decode(_ bytes: [UInt8], elementBytes: Int) -> [UInt8] {
    unsafe moved(bytes, elementBytes, graft_unshuffle)
  }

  private static func moved(
    _ bytes: [UInt8], _ elementBytes: Int,
    _ move: (UnsafeMutablePointer<UInt8>?, UnsafePointer<UInt8>?, Int, Int) -> Void
  ) -> [UInt8] {
    let count = bytes.count / elementBytes
    guard elementBytes > 1, count > 0 else { return bytes }
    let whole = count * elementBytes
    return unsafe [UInt8](unsafeUninitializedCapacity: bytes.count) { buffer, filled in
      unsafe bytes.withUnsafeBufferPointer { source in
        unsafe move(buffer.baseAddress, source.baseAddress, elementBytes, count)
        for place in whole..<bytes.count { unsafe buffer[place] = source[place] }
      }
      filled = bytes.count
    }
  }
}
