public import GraftCore

/// A checkpoint being written in several files, tensors shard after shard.
public struct ShardedWriter: CheckpointWriter {
  /// The tensors, shard after shard, in the order of the files.
  public let tensors: [TensorInfo]
  /// The names of the files that are being written, but for the index.
  public let fileNames: [String]
  private let shards: [any CheckpointWriter]
  private let places: [(shard: Int, tensor: Int)]
  private let index: PlannedIndex?

  /// An index, and where it is written when the shards are complete.
  struct PlannedIndex: Sendable {
    let content: ShardIndex
    let name: String
    let directory: AtomicDirectory
  }

  /// Joins writers of one file each.
  init(_ shards: [any CheckpointWriter], fileNames: [String], index: PlannedIndex? = nil) {
    self.shards = shards
    self.fileNames = fileNames
    self.index = index
    tensors = shards.flatMap(\.tensors)
    places = shards.enumerated().flatMap { shard, writer in
      writer.tensors.indices.map { (shard: shard, tensor: $0) }
    }
  }

  /// Lays out one file of a directory, or shards and the index that goes with them.
  ///
  /// - Parameters:
  ///   - copies: Further names, each with the tensor that it stands for, in whose shard it is.
  ///   - make: Lays out the file of some tensors.
  init(
    _ tensors: [TensorInfo], plan: ShardPlan, copies: [(name: TensorName, of: TensorName)] = [],
    into directory: AtomicDirectory,
    making make: ([TensorInfo], OutputFile) throws(StorageError) -> any CheckpointWriter
  ) throws(StorageError) {
    var shards: [any CheckpointWriter] = []
    for (name, shard) in zip(plan.fileNames, plan.shards) {
      shards.append(try make(shard.map { tensors[$0] }, try directory.file(named: name)))
    }
    let index = plan.indexName.map { name in
      PlannedIndex(
        content: ShardIndex(
          shards: zip(plan.fileNames, shards).map { (name: $0, tensors: $1.tensors) },
          copies: copies),
        name: name, directory: directory)
    }
    self.init(shards, fileNames: plan.fileNames, index: index)
  }

  /// Lays out safetensors; `metadata` goes into each file.
  ///
  /// - Throws: ``StorageError`` for two tensors of one name, and as ``SafetensorsWriter`` does.
  public init(
    _ tensors: [TensorInfo], metadata: [MetadataEntry] = [],
    maximumByteCount: Int = ShardPlan.defaultMaximumByteCount, stem: String = "model",
    into directory: AtomicDirectory
  ) throws(StorageError) {
    try tensors.map(\.name).checkDiffer(inFormat: "safetensors", file: directory.path)
    try self.init(
      tensors, plan: ShardPlan(tensors, maximumByteCount: maximumByteCount, stem: stem),
      into: directory
    ) { tensors, file throws(StorageError) in
      try SafetensorsWriter(tensors, metadata: metadata, to: file)
    }
  }

  /// Writes bytes of a tensor.
  ///
  /// - Precondition: the bytes lie inside the tensor.
  public func write(
    _ bytes: RawSpan, of tensor: Int, at byteOffset: Int
  ) throws(StorageError) {
    let place = places[tensor]
    try shards[place.shard].write(bytes, of: place.tensor, at: byteOffset)
  }

  /// Copies a whole tensor from a file.
  public func copy(_ extent: FileExtent, to tensor: Int) throws(StorageError) {
    let place = places[tensor]
    try shards[place.shard].copy(extent, to: place.tensor)
  }

  /// Checks that every byte was given, and writes the index.
  public func finish() throws(StorageError) {
    for shard in shards { try shard.finish() }
    guard let index else { return }
    try index.directory.write(index.content.serialized, named: index.name)
  }
}
