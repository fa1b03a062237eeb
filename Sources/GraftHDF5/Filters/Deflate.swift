internal import CHDF5

/// HDF5's filter 1: a zlib stream.
enum Deflate {
  /// The content of one whole stream; nil when it is damaged, larger than the limit, or not alone.
  static func decode(_ bytes: [UInt8], limit: Int) -> [UInt8]? {
    unsafe Filter.fill(upTo: limit) { target in
      var count = uLongf(limit)
      var consumed = uLong(bytes.count)
      let status = unsafe uncompress2(target, &count, bytes, &consumed)
      return status == Z_OK && Int(consumed) == bytes.count ? Int(count) : nil
    }
  }
}
