internal import GraftAdapters
internal import GraftCore
internal import GraftKernels

/// The embedding table of a model, row by row.
struct EmbeddingRows {
  /// The tensors to change: the table, and the head where it is stored and yet tied.
  let tensors: [Int]
  /// The rows of the table.
  let rowCount: Int
  /// The bytes of a row.
  var rowByteCount: Int { info.shape[1] * info.dtype.layout.bytes }
  private let reader: any CheckpointReader
  private let info: TensorInfo
  private static let tileBytes = 4 << 20

  /// The names that embedding tables go by.
  static let names: [TensorName] = [
    "model.embed_tokens.weight", "embed_tokens.weight", "transformer.wte.weight", "wte.weight",
    "bert.embeddings.word_embeddings.weight", "embeddings.word_embeddings.weight",
    "token_embd.weight",
  ]
  private static let headName: TensorName = "lm_head.weight"

  /// Finds the table and compares it with the vectors.
  init(of model: OpenedCheckpoint, fitting words: WordTable) throws(StorageError) {
    let reader = model.reader
    let places = reader.positions
    let known = model.knownConfiguration
    let own = known.map { $0.storedNames(of: $0.embeddingName) } ?? []
    guard let table = (own + Self.names).lazy.compactMap({ places[$0] }).first else {
      throw StorageError(
        .unrecognized(expected: "an embedding table such as model.embed_tokens.weight"),
        file: reader.path)
    }
    let info = reader.tensors[table]
    guard info.shape.rank == 2, info.dtype.isComputableFloat else {
      throw StorageError(
        .unsupported(feature: "embedding table", found: "\(info.dtype) \(info.shape)"),
        file: reader.path, tensor: info.name,
        remedy: "convert the model to f32, f16 or bf16 first")
    }
    let dimensions = words.table.dimensions
    guard dimensions == info.shape[1] else {
      throw StorageError(
        .mismatch(
          subject: "the dimension of the vectors", expected: "\(info.shape[1]) as in the model",
          found: "\(dimensions)"),
        file: words.table.path, remedy: "take vectors of the model's hidden size")
    }
    let config: JSONValue =
      try model.json(ifPresent: "config.json") ?? .null
    let isTied =
      (known as? any DecoderConfiguration)?.tiesEmbeddings
      ?? config["tie_word_embeddings"]?.bool ?? false
    let head = places[Self.headName].flatMap {
      isTied && reader.tensors[$0].shape == info.shape ? $0 : nil
    }
    tensors = [table] + [head].compactMap { $0 }
    rowCount = info.shape[0]
    self.reader = reader
    self.info = info
  }

  /// How long imported rows become.
  enum Length {
    /// All as long as this.
    case common(Double)
    /// Each as long as the row that it replaces.
    case replaced
    /// As long as the vector.
    case own

    var scale: WarmStartOptions.Scale {
      switch self {
      case .common: .mean
      case .replaced: .row
      case .own: .none
      }
    }

    /// The one length of all imported rows, if they have one.
    var common: Double? { if case .common(let length) = self { length } else { nil } }
  }

  /// The lengths that a way of scaling gives.
  func length(for scale: WarmStartOptions.Scale) throws -> Length {
    switch scale {
    case .mean: .common(try meanRowNorm())
    case .row: .replaced
    case .none: .own
    }
  }

  /// The mean of the rows' Euclidean lengths.
  private func meanRowNorm() throws -> Double {
    var total = 0.0
    let step = max(1, Self.tileBytes / max(rowByteCount, 1))
    let memory = try Memory(byteCount: min(step, max(rowCount, 1)) * rowByteCount)
    for first in stride(from: 0, to: rowCount, by: step) {
      let tile = MemorySlice(
        memory, dtype: info.dtype, shape: [min(step, rowCount - first), info.shape[1]])
      try reader.read(tensors[0], at: first * rowByteCount, into: tile)
      for row in 0..<tile.shape[0] { total += tile.row(row).norm }
    }
    return total / Double(max(rowCount, 1))
  }

  /// Rows of a table, of which some are replaced by vectors.
  func rows(
    _ range: Range<Int>, of tensor: Int, replacing rows: [Int: WordTable.Source],
    from words: WordTable, _ length: Length
  ) throws(StorageError) -> MemorySlice {
    let width = info.shape[1]
    let tile = try MemorySlice(allocating: info.dtype, [range.count, width])
    try reader.read(tensor, at: range.lowerBound * rowByteCount, into: tile)
    let scaled = try MemorySlice(allocating: .f32, [1, width])
    for row in 0..<range.count {
      guard let source = rows[range.lowerBound + row] else { continue }
      let vector = try words.vector(of: source)
      let norm = vector.norm
      // A vector without a direction can't be brought to a length; the model's row is better.
      guard norm > 0, norm.isFinite else { continue }
      let factor =
        switch length {
        case .common(let common): common / norm
        case .replaced: tile.row(row).norm / norm
        case .own: 1.0
        }
      scaled.replaceElements(vector.floats().map { Float(Double($0) * factor) })
      _ = LowRankUpdate.add([], to: scaled, into: tile.row(row))
    }
    return tile
  }

}

extension MemorySlice {
  /// The Euclidean length of a slice of floats.
  fileprivate var norm: Double {
    LowRankUpdate.add([], to: self, into: self).baseSquared.squareRoot()
  }
}
