internal import GraftAdapters
public import GraftCore
internal import GraftKernels

/// Merges adapters into a base and writes the tuned model whole: W' = round(W + Σ weight · scaling · B · A).
///
/// Tensors are streamed by tiles of rows, so memory doesn't grow with the model; what no adapter touches is copied
/// inside the kernel. The sum is rounded once: to the dtype of the base, or to the one that is asked for. Input and
/// output may be the same path.
/// - Parameters:
///   - base: The model.
///   - adapters: The adapters with their weights; updates are added in this order.
///   - output: What is written, in any form that ``convert(_:to:options:progress:)`` writes, complete or not at all.
///   - progress: Told of bytes read.
/// - Returns: What happened to every tensor.
/// - Throws: ``AdapterError`` when an adapter doesn't fit the base or has NaN or infinite values or leads to them,
///   ``StorageError`` when files can't be read or written, or the form can't hold the model.
public func merge(
  base: OpenedCheckpoint, adapters: [WeightedAdapter], output path: String,
  options: MergeOptions = MergeOptions(), progress: Progress = .none
) throws -> MergeReceipt {
  let merged = try MergedCheckpoint(base, adapters, to: path, options)
  let conversion = try Conversion(
    of: merged.checkpoint(to: path, options), to: path, options.conversion)
  try conversion.transfer(progress)
  try merged.checkFinite()
  try base.checkUnchanged()
  for adapter in adapters { try adapter.checkpoint.checkUnchanged() }
  try conversion.commit()
  var receipt = MergeReceipt(merged.plan, merged.totals, conversion.report)
  if options.verifies { receipt.verifiedByteCount = try conversion.compareWritten() }
  return receipt
}

extension MergedCheckpoint {
  /// Merges adapters into a base for a target.
  ///
  /// - Throws: ``AdapterError`` when an adapter doesn't fit the base, or has NaN or infinite values; ``StorageError``.
  convenience init(
    _ base: OpenedCheckpoint, _ adapters: [WeightedAdapter], to path: String,
    _ options: MergeOptions
  ) throws {
    let plan = try MergePlan(
      base: base, adapters: adapters, dtype: options.dtype, forType: options.type(at: path))
    try plan.checkAdapters()
    self.init(plan, threadCount: options.threadCount)
  }

  /// The merged model with the files that belong to it, as it is written.
  func checkpoint(to path: String, _ options: MergeOptions) throws -> OpenedCheckpoint {
    let files = try plan.base.files(declaring: options.dtype, untyingHead: plan.untiesHead)
    return OpenedCheckpoint(plan.base, reader: self, files: files, to: path, as: options.form)
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
