import GraftCore
import GraftFormats

extension FuzzTarget {
  /// Accepted: finite numbers, no more of them than the file has bytes.
  static let wordVectors = FuzzTarget(
    "word-vectors", seeds: ["Formats/word-vectors"],
    dictionary: ["nan", "inf", "0x1p3", "1e39", "1e-46", "\u{a0}", "\r\n", "1 1\n", "2 3\n"],
    structure: .text,
    run: fromFile { path, byteCount in
      for format in WordVectorFormat.allCases {
        guard let table = try? EmbeddingTable(path: path, format: format) else { continue }
        precondition(table.vectors.floats().allSatisfy { $0.isFinite }, "the numbers are finite")
        precondition(table.vectors.floats().count <= byteCount, "a number takes a byte")
        precondition(table.words.count == table.vectors.shape[0], "a row has a word")
      }
    })
}
