internal import GraftCore
internal import GraftFormats
internal import GraftHDF5

/// A checkpoint as it would be read from the model directory that is written of it: what a verb makes in one step is then, in
/// every form, what a conversion makes of its directory.
struct PlannedDirectory: RearrangedCheckpoint {
  /// The tensors in the order of the directory's files.
  let tensors: [TensorInfo]
  /// What the headers of those files say.
  let metadata: [MetadataEntry]
  /// The bytes of the files before their data, and the index.
  let headers: [HDF5Attachment]
  let source: any CheckpointReader
  let places: [Int]

  /// Lays the directory out.
  ///
  /// - Throws: ``StorageError`` where there can be none, as for names or dtypes that safetensors hasn't.
  init(of checkpoint: OpenedCheckpoint) throws(StorageError) {
    let source = checkpoint.reader
    let names = try checkpoint.sharedNames()
    let kept = source.tensors.indices.filter { !names.dropped.contains($0) }
    let infos = kept.map { source.tensors[$0] }
    let metadata = OutputForm.directory().metadata(
      TensorHash.settled(checkpoint.ownMetadata, in: .directory()).metadata, of: source.format,
      with: names)
    let plan = ShardPlan(infos)
    var headers: [HDF5Attachment] = []
    var shards: [(name: String, tensors: [TensorInfo])] = []
    for (name, shard) in zip(plan.fileNames, plan.shards) {
      let layout = try SafetensorsLayout(
        shard.map { infos[$0] }, metadata: metadata, file: checkpoint.path, limits: .standard)
      headers.append(HDF5Attachment(name: name, bytes: layout.header))
      shards.append((name, layout.tensors))
    }
    if let name = plan.indexName {
      headers.append(HDF5Attachment(name: name, bytes: ShardIndex(shards: shards).serialized))
    }
    let positions = Dictionary(
      kept.map { (source.tensors[$0].name, $0) }, uniquingKeysWith: { first, _ in first })
    self.source = source
    self.headers = headers
    self.metadata = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    tensors = shards.flatMap(\.tensors)
    places = tensors.compactMap { positions[$0.name] }
  }

  var format: CheckpointFormat { .safetensors }
}
