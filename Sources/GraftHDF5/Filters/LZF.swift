/// The registered filter 32000 of h5py: LZF, copies of what was decoded before and literal runs.
enum LZF {
  /// The content; nil when it is damaged or larger than the limit.
  static func decode(_ bytes: [UInt8], limit: Int) -> [UInt8]? {
    var result: [UInt8] = []
    result.reserveCapacity(limit)
    var position = 0
    func next() -> Int? {
      guard position < bytes.count else { return nil }
      defer { position += 1 }
      return Int(bytes[position])
    }
    while let control = next() {
      if control < 32 {
        // So many bytes and one more, as they are.
        let count = control + 1
        guard count <= bytes.count - position, count <= limit - result.count else { return nil }
        result += bytes[position..<position + count]
        position += count
      } else {
        // A length of 3 bits, or 7 and a byte; a distance of 5 bits and a byte.
        var length = control >> 5
        if length == 7 {
          guard let more = next() else { return nil }
          length += more
        }
        guard let low = next() else { return nil }
        let start = result.count - ((control & 31) << 8 | low) - 1
        guard start >= 0, length + 2 <= limit - result.count else { return nil }
        // Byte by byte: a copy may reach into itself.
        for place in start..<start + length + 2 { result.append(result[place]) }
      }
    }
    return result
  }
}
