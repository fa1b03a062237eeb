import GraftCore
import GraftFormats
import TestSupport
import Testing

/// The checkpoint, which finds rows in parallel and reads them where they are asked for, against the table, which reads one after the other.
struct EmbeddingCheckpointTests {
  let folder = TemporaryFolder()

  /// Compares words, numbers and counts.
  private func compare(
    _ path: String, format: WordVectorFormat? = nil,
    options: WordVectorOptions = WordVectorOptions()
  ) throws -> EmbeddingCheckpoint {
    let table = try EmbeddingTable(path: path, format: format)
    let checkpoint = try EmbeddingCheckpoint(path: path, format: format, options: options)
    #expect(checkpoint.tensors.map(\.shape) == [table.vectors.shape])
    #expect(checkpoint.repeatedCount == table.duplicateCount)
    #expect(checkpoint.format == table.source)
    #expect(checkpoint.vocabulary.count == table.words.count)
    #expect(checkpoint.vocabulary.byteCount == table.words.byteCount)
    #expect(try checkpoint.vocabulary.first(.max) == table.words.map(Array.init))
    #expect(
      try checkpoint.contents(of: 0).floats().map(\.bitPattern) == table.floats.map(\.bitPattern))
    return checkpoint
  }

  @Test(arguments: WordVectorTests.vectors.filter(\.isAccepted))
  func `accepted files are the same either way`(vector: Vector) throws {
    _ = try compare(vector.path)
  }

  @Test(arguments: WordVectorTests.vectors.filter { !$0.isAccepted })
  func `refused files are refused for the same reason at the same byte`(vector: Vector) throws {
    try vector.judge { path throws(StorageError) in
      _ = try EmbeddingCheckpoint(path: path).contents(of: 0)
    }
  }

  /// Rows of three numbers with everything that a text may have: words with blanks, numbers, repeated words, blank lines, carriage
  /// returns, several blanks, numbers that take the slow way.
  private func manyRows(_ count: Int, header: Bool) -> [UInt8] {
    var random = Numbers(state: 7)
    var text = header ? "\(count) 3\n" : ""
    for row in 0..<count {
      let word =
        switch row % 11 {
        case 3 where !header: "a b \(row)"
        case 5: "wort\(row % 55)"
        case 7: "日本\(row)"
        case 8: "\(row)"
        default: "w\(row)"
        }
      let long = row % 17 == 0 ? "0.1234567890123456789012345" : "\(random.next())"
      let blanks = row % 13 == 0 ? "  " : " "
      text += "\(word) \(random.next())\(blanks)\(long) \(random.next())"
      text += row % 19 == 0 ? " \r\n" : "\n"
      if row % 101 == 0 { text += "\n" }
    }
    return Array(text.utf8)
  }

  /// Floats that are the same in every run.
  private struct Numbers {
    var state: UInt64

    mutating func next() -> Float {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(Int64(bitPattern: state) >> 40) / 65536
    }
  }

  @Test(arguments: [1, 2, 3])
  func `files of many blocks are the same either way, whatever the threads`(threads: Int) throws {
    var options = WordVectorOptions()
    options.threadCount = threads
    for header in [true, false] {
      let path = try folder.write(manyRows(60_000, header: header), as: "rows-\(header)")
      let checkpoint = try compare(path, options: options)
      #expect(checkpoint.repeatedCount > 5000)
      let whole = try checkpoint.contents(of: 0)
      for start in [0, 1, 11, 12, 60_000, 300_001, whole.byteCount - 30] {
        for count in [1, 12, 30] {
          var part = [UInt8](repeating: 0, count: count)
          try part.withMutableRawBytes { bytes throws(StorageError) in
            try checkpoint.read(0, at: start, into: &bytes)
          }
          for index in 0..<count {
            #expect(
              part[index] == whole.bytes.unsafeLoad(fromByteOffset: start + index, as: UInt8.self))
          }
        }
      }
    }
  }

  @Test func `repeated words are found a share at a time where the table has no room`() throws {
    var options = WordVectorOptions()
    options.limits.wordTablePlaces = 4096
    _ = try compare(folder.write(manyRows(20_000, header: false)), options: options)
  }

  @Test func `binary files of many blocks are the same either way`() throws {
    let table = try EmbeddingTable(path: folder.write(manyRows(30_000, header: true), as: "text"))
    let file = try AtomicFile(path: folder.path + "/binary")
    try table.write(to: file.output, .word2vecBinary)
    try file.commit()
    _ = try compare(file.path)
  }

  @Test(arguments: [1, 2])
  func `an error far down a text names the line and the byte`(threads: Int) throws {
    var options = WordVectorOptions()
    options.threadCount = threads
    var text = manyRows(60_000, header: false)
    let place = text.count - 5000
    let start = try #require(text[place...].firstIndex(of: 0x0A)) + 1
    text[start] = 0xFF
    let line = text[..<start].count { $0 == 0x0A } + 1
    let path = try folder.write(text)
    let error = try #require(throws: StorageError.self) {
      try EmbeddingCheckpoint(path: path, options: options)
    }
    #expect(error.citation == "word-vectors W-6")
    #expect(error.offset == start)
    #expect("\(error.reason)".contains("on line \(line)"))
  }

  @Test func `a hundred gigabytes without an end of line are refused at their beginning`() throws {
    let path = try folder.write(Array("2 2\na 1 2\n".utf8), as: "sparse")
    try TemporaryFolder.extend(path, to: 100_000_000_000, writing: [0x0A])
    for (format, offset) in [(WordVectorFormat.word2vecText, 10), (.word2vecBinary, 14)] {
      let error = try #require(throws: StorageError.self) {
        try EmbeddingCheckpoint(path: path, format: format)
      }
      #expect(error.citation == "word-vectors W-7")
      #expect(error.offset == offset)
    }
  }

  @Test func `the words are in the metadata as a number`() throws {
    let path = Repository.path("Formats/word-vectors/accept/text-duplicate")
    #expect(
      try EmbeddingCheckpoint(path: path).metadata == [
        MetadataEntry(key: "words", value: "2"), MetadataEntry(key: "repeatedWords", value: "1"),
      ])
  }
}
