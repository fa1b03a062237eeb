public import GraftCore

/// A checkpoint in several files with an index, read as one: safetensors, or PyTorch's files.
///
/// Opening validates the index, every shard and that both agree.
public struct ShardedReader: CheckpointReader {
  /// The path of the index.
  public let path: String
  /// The index.
  public let index: ShardIndex
  /// The open shards, in the index's order.
  public let shards: [any SingleFileReader]
  /// The tensors, shard after shard.
  public let tensors: [TensorInfo]
  /// The metadata of all shards; of one key the first shard's entry.
  public let metadata: [MetadataEntry]
  /// The keys of which later shards have other values.
  public let disputedKeys: [String]
  /// The sets of tensors that are one and the same, by their positions.
  public let ties: [[Int]]
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
    var shards: [any SingleFileReader] = []
    for name in index.shards {
      let shard: any SingleFileReader =
        if index.holdsPyTorchFiles {
          try PyTorchReader(path: folder + name, limits: limits)
        } else {
          try SafetensorsReader(path: folder + name, limits: limits)
        }
      shards.append(shard)
    }
    try ShardAgreement(index: index, shards: shards, path: indexPath).check()
    var ties: [[Int]] = []
    var places: [(shard: Int, tensor: Int)] = []
    for (position, shard) in shards.enumerated() {
      let start = places.count
      ties += shard.ties.map { $0.map { start + $0 } }
      places += shard.tensors.indices.map { (shard: position, tensor: $0) }
    }
    path = indexPath
    self.index = index
    self.shards = shards
    tensors = shards.flatMap(\.tensors)
    self.ties = ties
    self.places = places
    let joined = Self.joined(shards)
    metadata = joined.metadata
    disputedKeys = joined.disputedKeys
  }

  /// The first entry of each key, and the keys whose values differ.
  private static func joined(
    _ shards: [any SingleFileReader]
  ) -> (metadata: [MetadataEntry], disputedKeys: [String]) {
    var metadata: [MetadataEntry] = []
    var positions: [TensorName: Int] = [:]
    var disputed: Set<Int> = []
    for entry in shards.flatMap(\.metadata) {
      let key = TensorName(entry.key)
      if let position = positions[key] {
        if !metadata[position].value.utf8.elementsEqual(entry.value.utf8) {
          disputed.insert(position)
        }
      } else {
        positions[key] = metadata.count
        metadata.append(entry)
      }
    }
    return (metadata, disputed.sorted().map { metadata[$0].key })
  }

  /// The format of the shards.
  public var format: CheckpointFormat { index.holdsPyTorchFiles ? .pytorch : .safetensors }

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

  /// Compares what a shard keeps for a check of a tensor's bytes.
  public func checkStoredBytes(of tensor: Int) throws(StorageError) {
    let place = places[tensor]
    try shards[place.shard].checkStoredBytes(of: place.tensor)
  }
}
