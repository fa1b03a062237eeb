public import GraftCore

extension ShardedWriter {
  /// Lays out PyTorch's files: `pytorch_model.bin`, or `pytorch_model-00001-of-00002.bin` and so on with their index.
  ///
  /// - Parameter copies: Further names, each with the tensor that it stands for; they share its storage.
  /// - Throws: ``StorageError`` for two tensors of one name, and as ``PyTorchWriter`` does.
  public init(
    pyTorch tensors: [TensorInfo], copies: [(name: TensorName, of: TensorName)] = [],
    maximumByteCount: Int = .max, stem: String, into directory: AtomicDirectory
  ) throws(StorageError) {
    try (tensors.map(\.name) + copies.map(\.name)).checkDiffer(
      inFormat: "PyTorch", file: directory.path)
    try self.init(
      tensors,
      plan: ShardPlan(tensors, maximumByteCount: maximumByteCount, stem: stem, suffix: ".bin"),
      copies: copies, into: directory
    ) { tensors, file throws(StorageError) in
      try PyTorchWriter(tensors, copies: copies, to: file)
    }
  }
}
