public import GraftCore

/// A checkpoint being written into a directory: one safetensors file, or shards and their index.
public final class ShardedWriter: CheckpointWriter {
  /// The tensors, shard after shard, in the order of the files.
  public let tensors: [TensorInfo]
  /// The names of the files that are being written.
  public let fileNames: [String]
  private let directory: AtomicDirectory
  private let plan: ShardPlan
  private let writers: [SafetensorsWriter]
  private let places: [(shard: Int, tensor: Int)]

  /// Lays all files out; `metadata` goes into each.
  public init(
    _ tensors: [TensorInfo], metadata: [MetadataEntry] = [],
    maximumByteCount: Int = ShardPlan.defaultMaximumByteCount, stem: String = "model",
    into directory: AtomicDirectory
  ) throws(StorageError) {
    try Self.checkNamesDiffer(tensors, path: directory.path)
    let plan = ShardPlan(tensors, maximumByteCount: maximumByteCount, stem: stem)
    var writers: [SafetensorsWriter] = []
    for (name, shard) in zip(plan.fileNames, plan.shards) {
      writers.append(
        try SafetensorsWriter(
          shard.map { tensors[$0] }, metadata: metadata, to: directory.file(named: name)))
    }
    self.directory = directory
    self.plan = plan
    self.writers = writers
    self.fileNames = plan.fileNames
    self.tensors = writers.flatMap(\.tensors)
    self.places = writers.enumerated().flatMap { shard, writer in
      writer.tensors.indices.map { (shard: shard, tensor: $0) }
    }
  }

  /// Writes bytes of a tensor.
  ///
  /// - Precondition: the bytes lie inside the tensor.
  public func write(
    _ bytes: RawSpan, of tensor: Int, at byteOffset: Int
  ) throws(StorageError) {
    let place = places[tensor]
    try writers[place.shard].write(bytes, of: place.tensor, at: byteOffset)
  }

  /// Copies a whole tensor from a file.
  public func copy(_ extent: FileExtent, to tensor: Int) throws(StorageError) {
    let place = places[tensor]
    try writers[place.shard].copy(extent, to: place.tensor)
  }

  /// Checks that every byte was given and writes the index.
  public func finish() throws(StorageError) {
    for writer in writers { try writer.finish() }
    guard let name = plan.indexName else { return }
    let index = ShardIndex(
      shards: zip(fileNames, writers).map { (name: $0, tensors: $1.tensors) })
    try directory.write(index.serialized, named: name)
  }

  private static func checkNamesDiffer(
    _ tensors: [TensorInfo], path: String
  ) throws(StorageError) {
    var names = Set<TensorName>()
    for tensor in tensors where !names.insert(tensor.name).inserted {
      throw StorageError(
        .notRepresentable(what: "two tensors of one name", inFormat: "safetensors"), file: path,
        tensor: tensor.name)
    }
  }
}
