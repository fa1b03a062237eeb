import GraftCore
import GraftFormats

extension FuzzTarget {
  /// Accepted: readable whole, words and the vectors of others too.
  static let fastText = FuzzTarget(
    "fasttext",
    seeds: [
      "Formats/fasttext/accept", "Formats/fasttext/reject", "Fixtures/golden/fasttext/**.bin",
    ],
    dictionary: ["</s>", "__label__", "word\u{0}"], structure: .numbers,
    run: fromFile { path, byteCount in
      guard let reader = try? FastTextCheckpoint(path: path) else { return }
      readAll(reader, byteCount: byteCount)
      readAll(reader.vocabulary)
      for word in ["word", "näher", "</s>", ""] {
        guard let vector = try? reader.subwordVectors?.vector(of: word.utf8) else { continue }
        promise(vector.count == reader.tensors[0].shape[1], "a vector of its length")
      }
    })
}
