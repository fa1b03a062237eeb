public import GraftCore

/// Vectors for words that a table doesn't have, made of the vectors of their n-grams as fastText makes them.
public struct SubwordVectors: Sendable {
  /// The n-grams.
  public let subwords: Subwords
  private let reader: any CheckpointReader
  private let ngrams: Int

  /// Takes n-grams from a tensor: f32, [buckets, dimensions].
  ///
  /// - Precondition: the tensor is such a matrix with a row for each bucket that is kept.
  public init(reader: any CheckpointReader, ngrams: Int, subwords: Subwords) {
    self.reader = reader
    self.ngrams = ngrams
    self.subwords = subwords
  }

  /// The vectors of n-grams that a converted model holds beside its words; nil where there are none, or none that fit together.
  public init?(convertedIn reader: any CheckpointReader) {
    let name = FastTextCheckpoint.ngramsName
    let fields = Dictionary(
      reader.metadata.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    func number(_ key: String) -> Int? {
      fields[FastTextCheckpoint.metadataPrefix + key].flatMap { Int($0) }
    }
    guard let ngrams = reader.index(of: name), let least = number("minn"),
      let most = number("maxn"), let buckets = number("bucket"), least >= 0, most > 0,
      least <= most, most <= FormatLimits.standard.ngramCharacters, buckets > 0,
      reader.tensors[ngrams].dtype == .f32, reader.tensors[ngrams].shape.rank == 2,
      reader.tensors[ngrams].shape[0] == buckets
    else { return nil }
    self.init(
      reader: reader, ngrams: ngrams,
      subwords: Subwords(lengths: (least, most), bucketCount: buckets))
  }

  /// The components of a vector.
  public var dimensions: Int { reader.tensors[ngrams].shape[1] }

  /// The mean of a word's n-grams; nil for a word without any, or with more than ``FormatLimits/ngrams``.
  /// - Throws: ``StorageError`` when the file can't be read.
  public func vector(of word: some Collection<UInt8>) throws(StorageError) -> [Float]? {
    // No model has such words; a vocabulary from elsewhere may.
    guard subwords.count(of: word) <= FormatLimits.standard.ngrams else { return nil }
    let rows = subwords.rows(of: word)
    guard !rows.isEmpty else { return nil }
    var mean = RowMean(dimensions: dimensions)
    let byteCount = dimensions * 4
    try mean.take(rows) {
      (row: Int, values: inout [Float], buffer: inout [Float]) throws(StorageError) in
      try buffer.withMutableRawBytes { (bytes: inout MutableRawSpan) throws(StorageError) in
        try reader.read(ngrams, at: row * byteCount, into: &bytes)
      }
      for column in values.indices { values[column] += buffer[column] }
    }
    return mean.values
  }
}
