internal import GraftAdapters
internal import GraftCore
internal import GraftFormats
internal import GraftHDF5
internal import GraftModels

/// A table of vectors with the words that they stand for, in whatever format.
struct VectorTable {
  /// The path that was opened.
  let path: String
  /// The components of a vector.
  let dimensions: Int
  /// How many words it has.
  let wordCount: Int
  /// Vectors for other words, where it has any.
  let subwords: SubwordVectors?
  /// The words.
  let labels: Labels
  /// The matrix, in the reader.
  let matrix: Int
  let reader: any CheckpointReader
  private let mapping: [Int]?
  private let weights: [Float]?

  /// Where the words come from.
  enum Labels {
    /// The table has them by itself, a row each.
    case words(any Vocabulary)
    /// They are tokens of a tokenizer, by ascending id (static-embeddings E-4).
    case tokens([Tokenizer.Word])
  }

  /// Finds a table, or the embedding table of a model.
  ///
  /// - Parameters:
  ///   - reader: The tensors, where they are shown under other names than in the file.
  ///   - files: The files that go with them.
  /// - Throws: ``StorageError`` where there is none, or where it has no words.
  init(
    _ opened: OpenedCheckpoint, reader shown: (any CheckpointReader)? = nil,
    files: [CompanionFile] = []
  ) throws {
    let reader = shown ?? opened.reader
    let layout = StaticEmbeddingLayout(reader.tensors)
    let model = reader.tensors.firstIndex {
      $0.shape.rank == 2 && $0.dtype.isComputableFloat && EmbeddingRows.names.contains($0.name)
    }
    let matrices = reader.tensors.indices.filter {
      reader.tensors[$0].shape.rank == 2 && reader.tensors[$0].dtype.isComputableFloat
    }
    guard let matrix = layout?.matrix ?? model ?? (matrices.count == 1 ? matrices[0] : nil) else {
      try opened.checkComputable()
      throw StorageError(
        .unrecognized(
          expected: "one table of vectors (static-embeddings E-1), found \(matrices.count) matrices"
        ),
        file: opened.path,
        remedy:
          "words have vectors in a table with a row for each, or in a model with its tokenizer")
    }
    self.reader = reader
    self.matrix = matrix
    path = opened.path
    let shape = reader.tensors[matrix].shape
    dimensions = shape[1]
    mapping = try layout?.mapping.map { place throws(StorageError) in
      try Self.rows(reader, place, below: shape[0])
    }
    weights = try layout?.weights.map { place throws(StorageError) in
      try reader.f32Contents(of: place).floats()
    }
    subwords =
      (reader as? FastTextCheckpoint)?.subwordVectors
      ?? SubwordVectors(convertedIn: reader)
    if let vocabulary = try opened.vocabulary() {
      labels = .words(vocabulary)
      wordCount = min(vocabulary.count, shape[0])
    } else {
      let shown = files.first { $0.name == "tokenizer.json" }
      let file = try shown ?? opened.requiredTokenizer()
      let tokens = try TableTokens.tokens(
        in: try file.contents(), file: opened.path + "/" + file.name)
      labels = .tokens(tokens)
      wordCount = tokens.count
    }
    let count = mapping?.count ?? shape[0]
    if let weights, weights.count != count {
      throw StorageError(
        .malformed(
          rule: "static-embeddings E-3", expected: "\(count) weights", found: "\(weights.count)"),
        file: path, tensor: StaticEmbeddingLayout.weightsName)
    }
  }

  /// How many vectors can be asked for: rows, or tokens that are mapped to rows.
  var count: Int { mapping?.count ?? reader.tensors[matrix].shape[0] }

  /// The rows of tokens.
  private static func rows(
    _ reader: any CheckpointReader, _ tensor: Int, below count: Int
  ) throws(StorageError) -> [Int] {
    let info = reader.tensors[tensor]
    let contents = try reader.contents(of: tensor)
    var rows: [Int] = []
    rows.reserveCapacity(info.shape[0])
    for position in 0..<info.shape[0] {
      let value = contents.bytes.integer(at: position, info.dtype)
      guard let value, (0..<count).contains(value) else {
        throw StorageError(
          .malformed(
            rule: "static-embeddings E-2", expected: "rows below \(count)",
            found: value.map { "\($0)" } ?? "more"),
          file: reader.path, tensor: info.name,
          offset: reader.extent(of: tensor).map {
            $0.range.lowerBound + position * info.dtype.layout.bytes
          })
      }
      rows.append(value)
    }
    return rows
  }

  // MARK: - Vectors

  /// A vector in f32: of a row, or of a token that is mapped to one.
  func vector(_ position: Int) throws(StorageError) -> MemorySlice {
    let vectors = try vectors(position..<position + 1)
    return MemorySlice(vectors.memory, dtype: .f32, shape: [1, dimensions])
  }

  /// Vectors in f32, side by side: [count, dimensions].
  ///
  /// - Precondition: the range lies in ``count``.
  func vectors(_ range: Range<Int>) throws(StorageError) -> MemorySlice {
    let result: MemorySlice
    if let mapping {
      result = try MemorySlice(allocating: .f32, [range.count, dimensions])
      for (place, token) in range.enumerated() {
        let row = try stored(mapping[token]..<mapping[token] + 1)
        result.row(place).replaceElements(row.floats())
      }
    } else {
      result = try stored(range)
    }
    guard let weights else { return result }
    for (place, token) in range.enumerated() {
      let row = result.row(place)
      let weight = weights[token]
      row.replaceElements(row.floats().map { $0 * weight })
    }
    return result
  }

  /// Rows of the matrix in f32.
  private func stored(_ rows: Range<Int>) throws(StorageError) -> MemorySlice {
    let shape: Shape = [rows.count, dimensions]
    guard reader.tensors[matrix].dtype == .i8 else {
      return try reader.f32Elements(
        of: matrix, from: rows.lowerBound * dimensions, shape: shape)
    }
    let bytes = try MemorySlice(allocating: .i8, shape)
    try reader.read(matrix, at: rows.lowerBound * dimensions, into: bytes)
    let result = try MemorySlice(allocating: .f32, shape)
    // Safety: RawSpan checks the bounds, and every bit pattern is an integer.
    result.replaceElements(
      (0..<shape.elementCount).map {
        Float(unsafe bytes.bytes.unsafeLoad(fromByteOffset: $0, as: Int8.self))
      })
    return result
  }
}

extension RawSpan {
  /// An element of an integer tensor; nil where an `Int` doesn't hold it.
  fileprivate func integer(at position: Int, _ dtype: DType) -> Int? {
    // Safety: RawSpan checks the bounds, and every bit pattern is an integer.
    switch dtype {
    case .i32:
      Int(unsafe unsafeLoadUnaligned(fromByteOffset: position * 4, as: Int32.self))
    case .u32:
      Int(unsafe unsafeLoadUnaligned(fromByteOffset: position * 4, as: UInt32.self))
    case .i64:
      Int(unsafe unsafeLoadUnaligned(fromByteOffset: position * 8, as: Int64.self))
    case .u64:
      Int(
        exactly: unsafe unsafeLoadUnaligned(fromByteOffset: position * 8, as: UInt64.self))
    default: nil
    }
  }
}
