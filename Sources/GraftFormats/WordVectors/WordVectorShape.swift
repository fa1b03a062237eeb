/// Format and dimensions as the first bytes of a file suggest them.
struct WordVectorShape {
  let format: WordVectorFormat
  let dimensions: Int
  let header: (words: Int, dimensions: Int)?

  /// Looks at the first bytes of a file, `isWhole` when they are all of it; nil when they are no word vectors.
  init?(_ bytes: Span<UInt8>, from start: Int, isWhole: Bool) {
    let lines = Self.lines(bytes, from: start, isWhole: isWhole)
    let first = lines.first ?? start..<start
    if let header = WordVectorRow.header(bytes, first) {
      self.header = header
      dimensions = header.dimensions
      let second = lines.count > 1 ? lines[1] : min(first.upperBound + 1, bytes.count)..<bytes.count
      let isText =
        Self.isTextRow(bytes, second, dimensions: header.dimensions)
        || Self.beginsLikeText(bytes, second)
      format = isText ? .word2vecText : .word2vecBinary
      return
    }
    // Words may have spaces in them, or be numbers, so the commonest count of numbers at the end decides.
    var counts: [Int: Int] = [:]
    for line in lines { counts[WordVectorRow.numberCount(bytes, line), default: 0] += 1 }
    counts[0] = nil
    let commonest = counts.max { ($0.value, $0.key) < ($1.value, $1.key) }
    guard let numbers = commonest?.key, numbers > 1 else { return nil }
    header = nil
    dimensions = numbers
    format = .glove
  }

  /// The first hundred lines that are seen whole.
  private static func lines(
    _ bytes: Span<UInt8>, from start: Int, isWhole: Bool
  ) -> [Range<Int>] {
    var lines: [Range<Int>] = []
    var lineStart = start
    for index in start..<bytes.count where bytes[index] == 0x0A {
      lines.append(lineStart..<index)
      lineStart = index + 1
      if lines.count == 100 { return lines }
    }
    if isWhole, lineStart < bytes.count { lines.append(lineStart..<bytes.count) }
    return lines
  }

  /// Whether a line ends in as many numbers.
  private static func isTextRow(
    _ bytes: Span<UInt8>, _ line: Range<Int>, dimensions: Int
  ) -> Bool {
    guard dimensions <= line.count / 2,
      let split = WordVectorRow.split(bytes, line, dimensions: dimensions)
    else { return false }
    var row = [Float](repeating: 0, count: dimensions)
    return WordVectorRow.parse(bytes, split.numbers, into: &row) == nil
  }

  /// Whether what follows the first blank is printable, as numbers in binary hardly ever are: also beyond the line, as one of
  /// 256 first numbers has a line feed in it.
  private static func beginsLikeText(_ bytes: Span<UInt8>, _ line: Range<Int>) -> Bool {
    let rest = line.lowerBound..<bytes.count
    guard let blank = rest.first(where: { bytes[$0] == 0x20 || bytes[$0] == 0x09 }) else {
      return line.allSatisfy { bytes[$0] >= 0x20 }
    }
    let end = min(blank + 256, bytes.count)
    let text = (blank..<end).map { bytes[$0] }
    let isPrintable = text.indices.allSatisfy { place in
      let byte = text[place]
      if byte < 0x20 { return byte == 0x09 || byte == 0x0A || byte == 0x0D }
      // Words of the lines that follow may have any bytes of UTF-8.
      return byte < 0x7F || byte >= 0x80 && blank + place >= line.upperBound
    }
    // The last character may be cut.
    return isPrintable
      && (0..<4).contains { String(validating: text.dropLast($0), as: UTF8.self) != nil }
  }
}
