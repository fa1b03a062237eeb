public import GraftCore

/// A checkpoint in several PyTorch files with an index, `pytorch_model.bin.index.json`, read as one.
///
/// Opening validates the index, every shard and that both agree.
public struct ShardedPyTorchReader: CheckpointReader {
  /// The path of the index.
  public let path: String
  /// The open shards, in the index's order.
  public let shards: [PyTorchReader]
  /// The tensors, shard after shard.
  public let tensors: [TensorInfo]
  /// What isn't a tensor, of all shards; of one key the first shard's entry.
  public let metadata: [MetadataEntry]
  /// The sets of tensors that are one and the same, by their positions.
  public let ties: [[Int]]
  private let places: [(shard: Int, tensor: Int)]

  /// Opens the shards of an index, which stand in its directory.
  ///
  /// - Throws: ``StorageError`` of the index, of a shard, or when they disagree.
  public init(indexPath: String, limits: FormatLimits = .standard) throws(StorageError) {
    try self.init(ShardIndex(path: indexPath, limits: limits), at: indexPath, limits: limits)
  }

  /// Opens the shards of an index that was read.
  /// - Throws: ``StorageError`` of a shard, or when index and shards disagree.
  public init(
    _ index: ShardIndex, at indexPath: String, limits: FormatLimits = .standard
  ) throws(StorageError) {
    let folder = indexPath.lastIndex(of: "/").map { String(indexPath[...$0]) } ?? ""
    var shards: [PyTorchReader] = []
    for name in index.shards {
      shards.append(try PyTorchReader(path: folder + name, limits: limits))
    }
    try ShardAgreement(
      index: index, shards: shards, identities: shards.map(\.file.identity), path: indexPath
    ).check()
    var ties: [[Int]] = []
    var places: [(shard: Int, tensor: Int)] = []
    for (position, shard) in shards.enumerated() {
      let start = places.count
      ties += shard.ties.map { $0.map { start + $0 } }
      places += shard.tensors.indices.map { (shard: position, tensor: $0) }
    }
    path = indexPath
    self.shards = shards
    tensors = shards.flatMap(\.tensors)
    self.ties = ties
    self.places = places
    var keys = Set<TensorName>()
    metadata = shards.flatMap(\.metadata).filter { keys.insert(TensorName($0.key)).inserted }
  }

  /// PyTorch.
  public var format: CheckpointFormat { .pytorch }

  /// The tensors of all shards that aren't read.
  public var unreadable: [UnreadableTensor] { shards.flatMap(\.unreadable) }

  /// Fills `buffer` with a tensor's bytes from `byteOffset` on.
  ///
  /// - Precondition: the bytes lie inside the tensor.
  public func read(
    _ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan
  ) throws(StorageError) {
    let place = places[tensor]
    try shards[place.shard].read(place.tensor, at: byteOffset, into: &buffer)
  }

  /// The shards' files.
  public var inputs: [InputFile] { shards.map(\.file) }

  /// Where a tensor's bytes lie in its shard.
  public func extent(of tensor: Int) -> FileExtent? {
    let place = places[tensor]
    return shards[place.shard].extent(of: place.tensor)
  }

  /// Compares the checksum of the record that a tensor lies in.
  public func checkStoredBytes(of tensor: Int) throws(StorageError) {
    let place = places[tensor]
    try shards[place.shard].checkStoredBytes(of: place.tensor)
  }
}
