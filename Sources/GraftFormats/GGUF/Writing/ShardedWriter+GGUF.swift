public import GraftCore

extension ShardedWriter {
  /// Lays out GGUF in several files, of which the first has the keys.
  ///
  /// The layout is that of llama.cpp's `gguf-split`: `prefix-00001-of-00003.gguf`, each with its number, the number of files
  /// and the number of all tensors. See ``GGUFSplit/paths(for:at:)``.
  /// - Parameter files: As many as the plan has shards.
  /// - Throws: ``StorageError`` for two tensors of one name or too many files, and as ``GGUFWriter`` does.
  public init(
    gguf tensors: [TensorInfo], entries: [(key: String, value: GGUFValue)], plan: ShardPlan,
    to files: [OutputFile]
  ) throws(StorageError) {
    precondition(files.count == plan.shards.count, "a file for each shard")
    guard files.count <= GGUFLimits.shards else {
      throw StorageError(
        .limitExceeded(
          limit: "files of a split checkpoint (gguf G-18)", maximum: GGUFLimits.shards,
          found: String(files.count)),
        file: files[0].target, remedy: "give a larger --max-shard-size")
    }
    try tensors.map(\.name).checkDiffer(inFormat: "GGUF", rule: "gguf G-12", file: files[0].target)
    var writers: [any CheckpointWriter] = []
    for (number, (shard, file)) in zip(plan.shards, files).enumerated() {
      // 16 bits are what other programs read; Graft reads any integer.
      let width = files.count > Int(UInt16.max) ? 32 : 16
      let split: [(key: String, value: GGUFValue)] = [
        ("split.no", .unsigned(UInt64(number), bits: width)),
        ("split.count", .unsigned(UInt64(files.count), bits: width)),
        ("split.tensors.count", .signed(Int64(tensors.count), bits: 32)),
      ]
      writers.append(
        try GGUFWriter(
          shard.map { tensors[$0] }, entries: (number == 0 ? entries : []) + split, to: file))
    }
    self.init(
      writers, fileNames: files.map { $0.target.split(separator: "/").last.map(String.init) ?? "" })
  }
}
