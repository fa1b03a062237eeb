internal import GraftCore

/// Does what ``merge(base:adapters:output:options:progress:)`` does before it writes, and writes nothing.
///
/// Adapters are read, and of the base and what stands at the path what tells of them.
/// - Throws: what a merge throws before it reads the base's values.
public func planMerge(
  base: OpenedCheckpoint, adapters: [WeightedAdapter], output path: String,
  options: MergeOptions = MergeOptions()
) throws -> MergeForecast {
  let merged = try MergedCheckpoint(base, adapters, to: path, options)
  let (result, form, losses) = try Conversion.planned(
    merged.checkpoint(to: path, options), to: path, options.conversion)
  try result.checkTarget(path, form: form, overwrites: options.overwrites)
  if form.isDirectory {
    try Directory.checkMakeable(path)
  } else {
    try Directory.checkWritable(path)
  }
  let plan = merged.plan
  let touched = plan.tensors.filter { !$0.isUntouched }
  return MergeForecast(
    tensors: touched, copiedCount: plan.tensors.count - touched.count,
    baseByteCount: plan.tensors.reduce(0) {
      $1.isReplaced ? $0 : $0 + plan.source(of: $1).info.byteCount
    },
    adapterByteCounts: plan.adapters.map { $0.tensors.reduce(0) { $0 + $1.byteCount } },
    tensorCount: result.tensors.count,
    byteCount: result.tensors.reduce(0) { $0 + $1.byteCount },
    fileNames: result.fileNames(in: form, at: path),
    bufferByteCount: merged.bufferByteCount + options.threadCount * TileConverter.byteCount,
    losses: losses, notes: result.notes)
}
