import GraftCore
import TestSupport
import Testing

@Suite struct `Bytes of arrays` {
  private let scratch = TemporaryFolder()

  @inline(never) private func made(_ value: Int) throws(StorageError) -> [Int] {
    guard value >= 0 else { throw StorageError(.noMemory, file: "") }
    return [value, value + 1]
  }

  /// What an optimizing compiler may take for done with: literals and results that nothing else holds.
  @Test func `are there as long as they are read, whoever holds the array`() throws {
    for value in 0..<1000 {
      let literal = [value, value + 1].withRawBytes { sum(of: $0) }
      let result = try made(value).withRawBytes { sum(of: $0) }
      let slice = Array([0, value, value + 1][1...]).withRawBytes { sum(of: $0) }
      #expect(literal == 2 * value + 1)
      #expect(result == literal && slice == literal)
    }
  }

  @inline(never) private func sum(of bytes: RawSpan) -> Int {
    (0..<bytes.byteCount / 8).reduce(0) {
      $0 + bytes.unsafeLoad(fromByteOffset: $1 * 8, as: Int.self)
    }
  }

  @Test(arguments: 1...9)
  func `are cut between characters of UTF-8, and what isn't UTF-8 comes to an end`(
    byteCount: Int
  ) throws {
    let texts = ["", "a", "é", "aé漢😀b漢漢", String(repeating: "😀", count: 9)]
    let others = [[UInt8](repeating: 0x80, count: 40), [0xFF, 0x80, 0x80, 0x80, 0x80, 0xF0]]
    for bytes in texts.map({ Array($0.utf8) }) + others {
      var (start, pieces) = (0, [[UInt8]]())
      while start < bytes.count {
        let end = bytes.endOfPiece(from: start, atMost: byteCount)
        try #require(end > start && end <= min(start + byteCount, bytes.count))
        pieces.append(Array(bytes[start..<end]))
        start = end
      }
      #expect(Array(pieces.joined()) == bytes)
      // A piece that has room for the longest character holds whole ones.
      guard byteCount >= 4, !others.contains(bytes) else { continue }
      #expect(pieces.allSatisfy { String(validating: $0, as: UTF8.self) != nil })
    }
  }

  @Test func `of arrays made in the call are written as they are`() throws {
    let path = scratch("file")
    let file = try AtomicFile(path: path)
    for value in 0..<256 {
      try file.output.write([UInt8(value)], at: 2 * value)
      try file.output.write(Array(made(value).map { UInt8($0 / 2) }.suffix(1)), at: 2 * value + 1)
    }
    try file.commit()
    let expected = (0..<256).flatMap { [UInt8($0), UInt8(($0 + 1) / 2)] }
    #expect(try InputFile.contents(of: path, atMost: 1 << 10) == expected)
  }

  @Test func `go where they belong in others`() {
    var target: [UInt8] = [0, 1, 2, 3, 4]
    target.withMutableRawBytes { target in
      ([7, 8] as [UInt8]).withRawBytes { target.overwrite(at: 2, with: $0) }
      ([] as [UInt8]).withRawBytes { target.overwrite(at: 5, with: $0) }
    }
    #expect(target == [0, 1, 7, 8, 4])
  }
}
