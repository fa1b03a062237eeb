internal import GraftCore
internal import GraftHDF5

/// A checkpoint whose tensors have other names, another order or other metadata, or aren't all there.
struct RenamedCheckpoint: RearrangedCheckpoint {
  let tensors: [TensorInfo]
  let metadata: [MetadataEntry]
  let source: any CheckpointReader
  let places: [Int]

  /// The same tensors with other metadata.
  init(_ source: any CheckpointReader, metadata: [MetadataEntry]) {
    self.source = source
    self.metadata = metadata
    tensors = source.tensors
    places = Array(tensors.indices)
  }

  /// The tensors at some places.
  init(_ source: any CheckpointReader, where isKept: (Int) -> Bool) {
    self.source = source
    metadata = source.metadata
    places = source.tensors.indices.filter(isKept)
    tensors = places.map { source.tensors[$0] }
  }

  /// The tensors as a translation names them.
  init(
    _ source: any CheckpointReader, _ translation: KerasTranslation
  ) throws(StorageError) {
    self.source = source
    metadata = translation.metadata
    places = translation.tensors.map(\.place)
    tensors = try translation.tensors.map { tensor throws(StorageError) in
      let info = source.tensors[tensor.place]
      return try TensorInfo(
        name: tensor.name, dtype: info.dtype, shape: info.shape, in: source.path)
    }
  }

  var format: CheckpointFormat { source.format }

  var ties: [[Int]] {
    let positions = Dictionary(
      places.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    return source.ties.map { tie in tie.compactMap { positions[$0] } }.filter { $0.count > 1 }
  }
}
