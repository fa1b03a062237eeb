public import GraftCore

/// A checkpoint in several safetensors files with an index, read as one.
///
/// Opening validates the index, every shard's header and that both agree.
public struct ShardedReader: CheckpointReader {
  /// The path of the index.
  public let path: String
  /// The index.
  public let index: ShardIndex
  /// The open shards, in the index's order.
  public let shards: [SafetensorsReader]
  /// The tensors, shard after shard.
  public let tensors: [TensorInfo]
  /// The metadata of all shards; of one key the first shard's entry.
  public let metadata: [MetadataEntry]
  /// For each tensor its shard and its position there.
  private let places: [(shard: Int, tensor: Int)]

  /// Opens the shards of an index, which stand in its directory.
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
    var shards: [SafetensorsReader] = []
    for name in index.shards {
      shards.append(try SafetensorsReader(path: folder + name, limits: limits))
    }
    try ShardAgreement(
      index: index, shards: shards, identities: shards.map(\.file.identity), path: indexPath
    ).check()
    self.path = indexPath
    self.index = index
    self.shards = shards
    tensors = shards.flatMap(\.tensors)
    places = shards.enumerated().flatMap { shard, reader in
      reader.tensors.indices.map { (shard: shard, tensor: $0) }
    }
    var keys = Set<TensorName>()
    metadata = shards.flatMap(\.metadata).filter { keys.insert(TensorName($0.key)).inserted }
  }

  /// Safetensors.
  public var format: CheckpointFormat { .safetensors }

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
}
