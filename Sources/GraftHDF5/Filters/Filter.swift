internal import CHDF5
internal import CZstd

/// A step of a chunk's encoding.
///
/// The steps run here instead of in libhdf5, so that a chunk never decodes to more than its declared size, and
/// outside the library's gate.
enum Filter: Sendable, Equatable {
  case deflate
  case shuffle(elementBytes: Int)
  case fletcher32
  case zstd

  /// The number registered for zstd.
  static let zstdNumber: H5Z_filter_t = 32015

  /// The filter of a number and its parameters; nil when it isn't one of the four.
  init?(number: H5Z_filter_t, parameters: [UInt32]) {
    switch number {
    case H5Z_FILTER_DEFLATE: self = .deflate
    case H5Z_FILTER_SHUFFLE:
      guard let size = parameters.first, size > 0 else { return nil }
      self = .shuffle(elementBytes: Int(size))
    case H5Z_FILTER_FLETCHER32: self = .fletcher32
    case Self.zstdNumber: self = .zstd
    default: return nil
    }
  }

  /// The bytes that encoding adds at most to bytes of a known count, where that is constant.
  private var overhead: Int { self == .fletcher32 ? 4 : 0 }
}

// MARK: - A chunk through all steps

extension Filter {
  /// Decodes a chunk, last step first.
  ///
  /// - Parameter skipped: the chunk's mask; bit `i` says that step `i` wasn't applied.
  /// - Returns: exactly `byteCount` bytes, or nil when the chunk doesn't decode to that.
  static func decode(
    _ stored: [UInt8], through steps: [Filter], skipping skipped: UInt32, byteCount: Int
  ) -> [UInt8]? {
    let applied = steps.enumerated().filter { skipped & (1 << UInt32($0.offset)) == 0 }
      .map(\.element)
    var bytes = stored
    for (position, step) in applied.enumerated().reversed() {
      let limit = applied[..<position].reduce(byteCount) { $0 + $1.overhead }
      guard let decoded = step.decode(bytes, limit: limit) else { return nil }
      bytes = decoded
    }
    return bytes.count == byteCount ? bytes : nil
  }

  /// Encodes a chunk as the writer does: bytes of one weight beside each other, then zstd.
  static func encode(_ chunk: [UInt8], elementBytes: Int, level: Int32) -> [UInt8]? {
    let shuffled = elementBytes > 1 ? unsafe transposed(chunk, elementBytes, graft_shuffle) : chunk
    let limit = ZSTD_compressBound(chunk.count)
    return unsafe fill(upTo: limit) { target in
      let count = unsafe ZSTD_compress(target, limit, shuffled, shuffled.count, level)
      return ZSTD_isError(count) == 0 ? count : nil
    }
  }
}

// MARK: - One step

extension Filter {
  private func decode(_ bytes: [UInt8], limit: Int) -> [UInt8]? {
    switch self {
    case .deflate:
      unsafe Self.fill(upTo: limit) { target in
        var count = uLongf(limit)
        let status = unsafe uncompress(target, &count, bytes, uLong(bytes.count))
        return status == Z_OK ? Int(count) : nil
      }
    case .zstd:
      unsafe Self.fill(upTo: limit) { target in
        let count = unsafe ZSTD_decompress(target, limit, bytes, bytes.count)
        return ZSTD_isError(count) == 0 ? count : nil
      }
    case .shuffle(let elementBytes): unsafe Self.transposed(bytes, elementBytes, graft_unshuffle)
    case .fletcher32: Self.checked(bytes)
    }
  }

  /// An array that `body` fills; nil when it can't.
  private static func fill(
    upTo limit: Int, _ body: (UnsafeMutablePointer<UInt8>?) -> Int?
  ) -> [UInt8]? {
    var isFilled = false
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
      guard let filled = unsafe body(buffer.baseAddress) else { return }
      count = filled
      isFilled = true
    }
    return isFilled ? bytes : nil
  }

  private static func transposed(
    _ bytes: [UInt8], _ elementBytes: Int,
    _ move: (UnsafeMutablePointer<UInt8>?, UnsafePointer<UInt8>?, Int, Int) -> Void
  ) -> [UInt8] {
    let whole = bytes.count / elementBytes * elementBytes
    var result = bytes
    unsafe move(&result, bytes, elementBytes, whole / elementBytes)
    return result
  }

  /// The bytes before the checksum; nil when it isn't theirs.
  private static func checked(_ bytes: [UInt8]) -> [UInt8]? {
    guard bytes.count >= 4 else { return nil }
    let sum = bytes.suffix(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    let content = bytes.dropLast(4)
    return fletcher32(content) == sum ? Array(content) : nil
  }

  /// Fletcher's checksum over big-endian 16-bit words, as HDF5 computes it.
  private static func fletcher32(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    var (low, high): (UInt32, UInt32) = (0, 0)
    for position in stride(from: bytes.startIndex, to: bytes.endIndex, by: 2) {
      let second = position + 1 < bytes.endIndex ? bytes[position + 1] : 0
      low = fold(low + (UInt32(bytes[position]) << 8 | UInt32(second)))
      high = fold(high + low)
    }
    return high << 16 | low
  }
  /// A sum modulo 65535, where only 0 gives 0.
  private static func fold(_ sum: UInt32) -> UInt32 { (sum & 0xFFFF) + (sum >> 16) }
}
