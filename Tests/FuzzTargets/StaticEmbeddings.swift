import GraftCore
import GraftFormats

extension FuzzTarget {
  /// Accepted: the table's tensors are there, and its words come in order or end in an error.
  static let staticEmbeddings = FuzzTarget(
    "static-embeddings", seeds: ["Formats/static-embeddings/**.safetensors"],
    dictionary: [
      "embeddings", "embedding.weight", "mapping", "weights", "vocabulary.bytes", "vocabulary.ends",
      "ngrams", "fasttext.minn", "fasttext.maxn", "fasttext.bucket", "I8", "I32", "I64", "U8",
      "U64", "F16",
    ],
    structure: .lengthAndHeader,
    run: fromFile { path, _ in
      guard let reader = try? SafetensorsReader(path: path) else { return }
      if let subwords = SubwordVectors(convertedIn: reader) {
        _ = try? subwords.vector(of: "word".utf8)
      }
      guard let layout = StaticEmbeddingLayout(reader.tensors) else { return }
      let places = [layout.matrix, layout.mapping, layout.weights].compactMap { $0 }
      promise(places.allSatisfy(reader.tensors.indices.contains), "the tensors are there")
      guard let words = layout.vocabulary else { return }
      readAll(TensorVocabulary(reader, bytes: words.bytes, ends: words.ends))
    })
}
