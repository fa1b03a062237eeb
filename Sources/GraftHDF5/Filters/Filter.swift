/// A step of a chunk's encoding.
///
/// The steps run here instead of in libhdf5, so that a chunk never decodes to more than its declared size, and on as
/// many threads as ask.
enum Filter: Sendable, Equatable {
  case deflate
  case shuffle(elementBytes: Int)
  case fletcher32
  case lzf
  case zstd

  /// The number registered for zstd.
  static let zstdNumber: Int32 = 32015

  /// The filter of a number and its parameters; nil when it isn't one of the five.
  init?(number: Int, parameters: [UInt32]) {
    switch number {
    case 1: self = .deflate
    case 2:
      guard let size = parameters.first, size > 0 else { return nil }
      self = .shuffle(elementBytes: Int(size))
    case 3: self = .fletcher32
    case 32000: self = .lzf
    case Int(Self.zstdNumber): self = .zstd
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
    _ stored: consuming [UInt8], through steps: [Filter], skipping skipped: UInt32, byteCount: Int
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

  private func decode(_ bytes: [UInt8], limit: Int) -> [UInt8]? {
    switch self {
    case .deflate: Deflate.decode(bytes, limit: limit)
    case .zstd: Zstd.decode(bytes, limit: limit)
    case .lzf: LZF.decode(bytes, limit: limit)
    case .shuffle(let elementBytes): Shuffle.decode(bytes, elementBytes: elementBytes)
    case .fletcher32: Fletcher32.decode(bytes)
    }
  }

  /// An array of up to `limit` bytes that `body` fills; nil when it can't.
  static func fill(
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
}
