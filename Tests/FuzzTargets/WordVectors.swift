import GraftCore
import GraftFormats

extension FuzzTarget {
  /// A table as text.
  ///
  /// Accepted: finite numbers, no more of them than the file has bytes, and the same read by rows.
  static let wordVectors = FuzzTarget(
    "word-vectors", seeds: ["Formats/word-vectors/accept", "Formats/word-vectors/reject"],
    dictionary: ["nan", "inf", "0x1p3", "1e39", "1e-46", "\u{a0}", "\r\n", "1 1\n", "2 3\n"],
    structure: .text,
    run: fromFile { path, byteCount in
      for format in WordVectorFormat.allCases { readTable(path, format, byteCount) }
    })

  /// The same for a table of binary numbers.
  static let binaryWordVectors = FuzzTarget(
    "word2vec", seeds: ["Formats/word-vectors/**/binary", "Fixtures/golden/word-vectors/**.bin"],
    dictionary: ["1 1\n", "2 3\n", "\n"], structure: .numbers,
    run: fromFile { path, byteCount in readTable(path, .word2vecBinary, byteCount) })

  private static func readTable(_ path: String, _ format: WordVectorFormat, _ byteCount: Int) {
    var options = WordVectorOptions()
    options.threadCount = 1
    let byRows = try? EmbeddingCheckpoint(path: path, format: format, options: options)
    if let byRows { readAll(byRows.vocabulary) }
    guard let table = try? EmbeddingTable(path: path, format: format, options: options) else {
      // Numbers are checked when they are read.
      if let byRows { readAll(byRows, byteCount: byteCount, isChecked: false) }
      return
    }
    let numbers = table.vectors.floats()
    promise(numbers.allSatisfy { $0.isFinite }, "the numbers are finite")
    promise(numbers.count <= byteCount, "a number takes a byte")
    promise(table.words.count == table.vectors.shape[0], "a row has a word")
    guard let byRows, let contents = try? byRows.contents(of: 0) else {
      fatalError("a table can be read by rows")
    }
    promise(contents.floats() == numbers, "the rows are the table's")
  }
}
