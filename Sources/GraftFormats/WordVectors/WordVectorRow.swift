internal import GraftCore

/// Takes a line of text apart: the last `dimensions` fields are numbers, what stands before them is the word.
enum WordVectorRow {
  /// The bytes of the word and where the first number begins; nil when there are fewer fields, or no numbers are looked for.
  static func split(
    _ bytes: Span<UInt8>, _ line: Range<Int>, dimensions: Int
  ) -> (word: Range<Int>, numbers: Range<Int>)? {
    guard dimensions > 0 else { return nil }
    let end = trimmed(bytes, line).upperBound
    var index = end
    for _ in 0..<dimensions {
      while index > line.lowerBound, isBlank(bytes[index - 1]) { index -= 1 }
      let fieldEnd = index
      while index > line.lowerBound, !isBlank(bytes[index - 1]) { index -= 1 }
      guard index < fieldEnd, index > line.lowerBound else { return nil }
    }
    // One blank ends the word; further ones are the word's own.
    return (line.lowerBound..<index - 1, index..<end)
  }

  /// Fills `row` with the numbers of a range; the range of the first field that is no number, if one isn't.
  static func parse(
    _ bytes: Span<UInt8>, _ numbers: Range<Int>, into row: inout [Float]
  ) -> Range<Int>? {
    var index = numbers.lowerBound
    for position in row.indices {
      while index < numbers.upperBound, isBlank(bytes[index]) { index += 1 }
      let start = index
      while index < numbers.upperBound, !isBlank(bytes[index]) { index += 1 }
      guard let value = DecimalFloat.parse(bytes, start..<index) else { return start..<index }
      row[position] = value
    }
    return nil
  }

  /// How many fields at a line's end are finite numbers; the first field is none.
  static func numberCount(_ bytes: Span<UInt8>, _ line: Range<Int>) -> Int {
    var end = trimmed(bytes, line).upperBound
    var count = 0
    while true {
      var start = end
      while start > line.lowerBound, !isBlank(bytes[start - 1]) { start -= 1 }
      guard start > line.lowerBound, start < end, DecimalFloat.parse(bytes, start..<end) != nil
      else { return count }
      count += 1
      end = start
      while end > line.lowerBound, isBlank(bytes[end - 1]) { end -= 1 }
    }
  }

  /// How many fields a line has.
  static func fieldCount(_ bytes: Span<UInt8>, _ line: Range<Int>) -> Int {
    var count = 0
    var inField = false
    for index in line {
      let isBlank = isBlank(bytes[index]) || bytes[index] == 0x0D
      if !isBlank, !inField { count += 1 }
      inField = !isBlank
    }
    return count
  }

  /// Whether no blank divides a range.
  static func isOneField(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
    range.allSatisfy { !isBlank(bytes[$0]) }
  }

  /// The two integers of a header line `V D`; nil when the line is something else.
  static func header(_ bytes: Span<UInt8>, _ line: Range<Int>) -> (words: Int, dimensions: Int)? {
    let content = trimmed(bytes, line)
    guard let (first, second) = split(bytes, content, dimensions: 1),
      let words = integer(bytes, first), let dimensions = integer(bytes, second)
    else { return nil }
    return (words, dimensions)
  }

  /// A line without blanks and carriage returns at its end.
  static func trimmed(_ bytes: Span<UInt8>, _ line: Range<Int>) -> Range<Int> {
    var end = line.upperBound
    while end > line.lowerBound, isBlank(bytes[end - 1]) || bytes[end - 1] == 0x0D { end -= 1 }
    return line.lowerBound..<end
  }

  private static func integer(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int? {
    guard !range.isEmpty, range.count <= 18 else { return nil }
    var value = 0
    for index in range {
      guard bytes[index] >= 0x30, bytes[index] <= 0x39 else { return nil }
      value = value * 10 + Int(bytes[index] - 0x30)
    }
    return value
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
}
