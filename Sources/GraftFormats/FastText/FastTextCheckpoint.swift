public import GraftCore

/// A fastText model (`.bin`, `.ftz`) as a checkpoint: the vectors of its words as `embeddings`, and where it has n-grams their vectors as `ngrams`.
///
/// A word's vector is the mean of its own row and those of its n-grams, as fastText prints it; a word that the model doesn't know
/// has the mean of its n-grams, see ``SubwordVectors``. The format and its numbered rules are in `Formats/fasttext/SPEC.md`.
public struct FastTextCheckpoint: CheckpointReader {
  /// The name of the n-grams' rows: f32, [buckets, dimensions].
  public static let ngramsName: TensorName = "ngrams"
  /// What the keys of the metadata begin with.
  public static let metadataPrefix = "fasttext."

  /// The path that was opened.
  public let path: String
  /// The words' vectors, f32, [words, dimensions]; then the n-grams'.
  public let tensors: [TensorInfo]
  /// The n-grams that the model was trained with.
  public let subwords: Subwords
  private let file: InputFile
  private let arguments: FastTextArguments
  private let dictionary: FastTextDictionary
  private let input: FastTextMatrix
  private let output: FastTextMatrix

  /// Opens a model.
  /// - Throws: ``StorageError`` with the broken rule and the byte; quantized matrices (`.ftz`) are dequantized.
  public init(path: String, limits: FormatLimits = .standard) throws(StorageError) {
    let file = try InputFile(path: path)
    let arguments = try FastTextArguments(file, limits: limits)
    let dictionary = try FastTextDictionary(file, after: arguments, limits: limits)
    let input = try FastTextMatrix(
      file, at: dictionary.end, "input", columns: arguments.dimensions)
    let ngramRows = dictionary.kept?.count ?? arguments.bucketCount
    guard input.rows == dictionary.wordCount + ngramRows else {
      throw FastTextArguments.malformed(
        "F-8", "\(dictionary.wordCount) words and \(ngramRows) n-grams as rows", "\(input.rows)",
        file, dictionary.end + (input.isQuantized ? 2 : 1))
    }
    guard dictionary.kept == nil || input.isQuantized else {
      throw FastTextArguments.malformed(
        "F-6", "-1 kept buckets, or a quantized matrix", "\(ngramRows)", file,
        FastTextDictionary.keptCountOffset)
    }
    let output = try FastTextMatrix(
      file, at: input.end, "output", columns: arguments.dimensions,
      mayBeQuantized: input.isQuantized)
    guard output.end == file.byteCount else {
      throw FastTextArguments.malformed(
        "F-9", "the end after the output matrix", "\(file.byteCount - output.end) more bytes", file,
        output.end)
    }
    subwords = Subwords(
      lengths: arguments.ngramLengths, bucketCount: max(arguments.bucketCount, 1),
      kept: dictionary.kept)
    do throws(ShapeError) {
      let shapes = [
        (EmbeddingCheckpoint.tensorName, dictionary.wordCount),
        (Self.ngramsName, arguments.ngramLengths.most > 0 ? ngramRows : 0),
      ]
      var tensors: [TensorInfo] = []
      for (name, rows) in shapes where name != Self.ngramsName || rows > 0 {
        tensors.append(
          try TensorInfo(name: name, dtype: .f32, shape: Shape([rows, arguments.dimensions])))
      }
      self.tensors = tensors
    } catch {
      throw StorageError(.overflow(part: "table"), file: path)
    }
    self.path = path
    self.file = file
    self.arguments = arguments
    self.dictionary = dictionary
    self.input = input
    self.output = output
  }

  // MARK: - Reading

  /// fastText.
  public var format: CheckpointFormat { .fastText }

  /// The words.
  public var vocabulary: any Vocabulary { Words(dictionary: dictionary) }

  /// The vectors of words that the model doesn't know; nil where it has no n-grams.
  public var subwordVectors: SubwordVectors? {
    guard let ngrams = index(of: Self.ngramsName) else { return nil }
    return SubwordVectors(reader: self, ngrams: ngrams, subwords: subwords)
  }

  /// The arguments, and the numbers of words, labels and words of the training text.
  public var metadata: [MetadataEntry] {
    let counts = [
      ("words", dictionary.wordCount), ("labels", dictionary.labelCount),
      ("tokens", dictionary.tokenCount),
    ]
    return (arguments.fields + counts.map { MetadataEntry(key: $0, value: "\($1)") }).map {
      MetadataEntry(key: Self.metadataPrefix + $0.key, value: $0.value)
    }
  }

  /// What the tensors leave out, in words.
  public var omissions: [String] {
    var omissions: [String] = []
    if tensors.count > 1 { omissions.append("the words' own rows, apart from their n-grams") }
    if dictionary.kept != nil, tensors.count > 1 {
      omissions.append("which n-grams are kept, and with it the vectors of other words")
    }
    if output.rows > 0 { omissions.append("the output matrix, which training on would need") }
    if dictionary.wordCount > 0 { omissions.append("how often each word occurred") }
    if dictionary.labelCount > 0 { omissions.append("the labels of the classifier") }
    return omissions
  }

  /// Fills `buffer` with a tensor's bytes; a word's vector is made as it is asked for.
  ///
  /// - Precondition: the bytes lie inside the tensor.
  public func read(
    _ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan
  ) throws(StorageError) {
    guard buffer.byteCount > 0 else { return }
    let rowByteCount = arguments.dimensions * 4
    let first = byteOffset / rowByteCount
    let last = (byteOffset + buffer.byteCount - 1) / rowByteCount
    if tensor > 0, let extent = input.extent(of: dictionary.wordCount..<input.rows) {
      return try extent.file.read(at: extent.range.lowerBound + byteOffset, into: &buffer)
    }
    var words = tensor == 0 ? try dictionary.words(from: first) : nil
    var mean = RowMean(dimensions: arguments.dimensions)
    for position in first...last {
      var rows = [tensor == 0 ? position : dictionary.wordCount + position]
      if let word = try words?.next() {
        rows += subwords.rows(of: word).map { dictionary.wordCount + $0 }
      }
      try mean.take(rows, add: input.add)
      mean.copy(into: &buffer, at: position * rowByteCount - byteOffset)
    }
  }

  /// The one file.
  public var inputs: [InputFile] { [file] }

  /// The n-grams' rows lie in the file as they are, unless they are quantized; the words' vectors don't.
  public func extent(of tensor: Int) -> FileExtent? {
    tensor > 0 ? input.extent(of: dictionary.wordCount..<input.rows) : nil
  }

  /// The words of a model.
  private struct Words: Vocabulary {
    let dictionary: FastTextDictionary

    var count: Int { dictionary.wordCount }
    var byteCount: Int { dictionary.wordByteCount }

    func visit(_ body: (_ row: Int, _ word: ArraySlice<UInt8>) throws -> Void) throws {
      guard dictionary.wordCount > 0 else { return }
      var words = try dictionary.words(from: 0)
      for row in 0..<dictionary.wordCount { try body(row, try words.next()) }
    }
  }
}
