internal import GraftCore

extension WordVectorRow {
  /// Reads a row from left to right: a word without blanks, and numbers with one blank before each; returns the range of the word.
  ///
  /// Nil where a row looks otherwise, or a number isn't read by ``DecimalFloat/scan(_:from:into:)``: ``split(_:_:dimensions:)`` and
  /// ``parse(_:_:into:)`` decide then. Where there is a result, it is theirs.
  /// - Parameters:
  ///   - bytes: The window, with ``DecimalFloat/scanPadding`` bytes behind the line.
  ///   - row: Takes the numbers from `offset` on.
  @inline(__always)
  static func parseInOrder(
    _ bytes: Span<UInt8>, _ line: Range<Int>, dimensions: Int, into row: inout MutableRawSpan,
    at offset: Int
  ) -> Range<Int>? {
    let end = line.upperBound
    var index = line.lowerBound
    while index < end, bytes[index] != 0x20, bytes[index] != 0x09 { index &+= 1 }
    let word = line.lowerBound..<index
    var place = offset
    for _ in 0..<dimensions {
      guard index < end, bytes[index] == 0x20 || bytes[index] == 0x09 else { return nil }
      var value: Float = 0
      guard let next = DecimalFloat.scan(bytes, from: index &+ 1, into: &value) else { return nil }
      row.storeBytes(of: value, toByteOffset: place, as: Float.self)
      place &+= 4
      index = next
    }
    guard index <= end, trimmed(bytes, index..<end).isEmpty else { return nil }
    return word
  }

  /// The word of a row with as many blanks as numbers, as nearly all are: all before the first blank.
  ///
  /// Nil for other rows, which ``split(_:_:dimensions:)`` takes apart.
  static func wordBeforeNumbers(
    _ bytes: Span<UInt8>, _ line: Range<Int>, dimensions: Int
  ) -> Range<Int>? {
    let content = trimmed(bytes, line)
    guard blankCount(bytes, content) == dimensions else { return nil }
    var index = content.lowerBound
    while bytes[index] != 0x20, bytes[index] != 0x09 { index &+= 1 }
    return line.lowerBound..<index
  }

  /// How many bytes of a range are spaces and tabs, eight at a time.
  static func blankCount(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int {
    let raw = unsafe bytes.bytes
    var total = 0
    var index = range.lowerBound
    while range.upperBound &- index >= 8 {
      // One count a byte of the word, of 255 at most.
      var counts: UInt64 = 0
      let stop = min(range.upperBound &- 8, index &+ 254 &* 8)
      while index <= stop {
        // Safety: RawSpan checks the bounds, and every bit pattern is an integer.
        let part = unsafe raw.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self)
        counts &+=
          (zeroBytes(part ^ 0x2020_2020_2020_2020) | zeroBytes(part ^ 0x0909_0909_0909_0909))
        index &+= 8
      }
      let pairs = counts & 0x00FF_00FF_00FF_00FF &+ counts >> 8 & 0x00FF_00FF_00FF_00FF
      total &+= Int((pairs &* 0x0001_0001_0001_0001) >> 48)
    }
    while index < range.upperBound {
      total &+= bytes[index] == 0x20 || bytes[index] == 0x09 ? 1 : 0
      index &+= 1
    }
    return total
  }

  /// 1 in each byte that is zero, 0 in the others.
  private static func zeroBytes(_ word: UInt64) -> UInt64 {
    let low = word & 0x7F7F_7F7F_7F7F_7F7F &+ 0x7F7F_7F7F_7F7F_7F7F
    return ~(low | word) >> 7 & 0x0101_0101_0101_0101
  }
}
