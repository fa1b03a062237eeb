internal import GraftAdapters
public import GraftCore
internal import GraftHDF5

/// Merges adapters into a base and writes the tuned model whole: W' = round(W + Σ weight · scaling · B · A).
///
/// Tensors are streamed by tiles of rows, so memory doesn't grow with the model; what no adapter touches is copied
/// inside the kernel. The sum is rounded once to the dtype of the base. Input and output may be the same path.
/// - Parameters:
///   - base: The model.
///   - adapters: The adapters with their weights; updates are added in this order.
///   - output: A directory, or an `.h5` file, which appears complete or not at all.
///   - progress: Told of bytes written.
/// - Returns: What happened to every tensor.
/// - Throws: ``AdapterError`` when an adapter doesn't fit the base or has NaN or infinite values or leads to them, ``StorageError`` when files can't be read or written.
public func merge(
  base: OpenedCheckpoint, adapters: [WeightedAdapter], output path: String,
  options: MergeOptions = MergeOptions(), progress: Progress = .none
) throws -> MergeReceipt {
  let plan = try MergePlan(base: base, adapters: adapters, dtype: options.dtype)
  try plan.checkAdapters()
  let form = options.form ?? OutputForm(for: path)
  let output = try CheckpointOutput(
    path: path, form: form, tensors: plan.tensors.map(\.info), metadata: plan.metadata,
    files: try base.files(declaring: options.dtype, untyingHead: plan.untiesHead),
    overwrites: options.overwrites)
  var run = MergeRun(plan, threadCount: form.isOrdered ? 1 : options.threadCount)
  try run.write(to: output.writer, progress)
  try run.checkFinite()
  try base.checkUnchanged()
  for adapter in adapters { try adapter.checkpoint.checkUnchanged() }
  try output.commit()
  var receipt = MergeReceipt(plan, run.sums)
  if options.verifies {
    let written = try OpenedCheckpoint(path: path)
    receipt.verifiedByteCount = try run.compare(with: written)
  }
  return receipt
}

extension OutputForm {
  /// Whether the bytes of the file depend on the order in which tensors are written.
  var isOrdered: Bool {
    switch self {
    case .safetensors: false
    case .hdf5(let compression): compression != .none
    }
  }
}

extension MergePlan {
  /// Checks that every element of the adapters is a number, so that nothing is written that can't be right.
  ///
  /// - Throws: ``AdapterError/Reason/nonFinite(tensor:element:)``.
  func checkAdapters() throws {
    let worker = try TileReader()
    for reader in adapters {
      for (index, info) in reader.tensors.enumerated() {
        for tile in TensorTile.all(of: info, at: index) {
          guard let element = try worker.firstNonFinite(of: tile, reader) else { continue }
          throw AdapterError(.nonFinite(tensor: info.name, element: element), file: reader.path)
        }
      }
    }
  }

  /// The base's metadata; transformers wants to be told the framework.
  var metadata: [MetadataEntry] {
    let kept = base.reader.format == .gguf ? [] : base.reader.metadata
    return kept.contains { $0.key == "format" }
      ? kept : kept + [MetadataEntry(key: "format", value: "pt")]
  }
}

extension TileReader {
  /// The first element of a tile that is NaN or infinite.
  fileprivate func firstNonFinite(
    of tile: TensorTile, _ reader: any CheckpointReader
  ) throws(StorageError) -> Int? {
    let slice = try bytes(of: tile, reader)
    let dtype = reader.tensors[tile.tensor].dtype
    return NonFiniteCount(in: slice.bytes, of: dtype, from: tile.elements.lowerBound).first
  }
}
