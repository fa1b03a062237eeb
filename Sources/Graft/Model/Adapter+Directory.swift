public import GraftAdapters
public import GraftCore
internal import GraftFormats

extension Adapter {
  /// Writes `adapter_model.safetensors` and `adapter_config.json` into a directory, each whole or not at all.
  ///
  /// Other files of the directory stay.
  /// - Throws: ``StorageError`` when the system can't write.
  public func write(into directory: String) throws(StorageError) {
    try Directory.create(directory)
    let file = try AtomicFile(path: directory + "/" + Adapter.fileName)
    try writeTensors(to: file.output)
    try file.commit()
    try AtomicFile.update(
      configuration.peftFile, at: directory + "/" + LoRAConfiguration.fileName)
  }

  /// Writes both files into a directory that appears whole.
  func write(into directory: AtomicDirectory) throws(StorageError) {
    try writeTensors(to: directory.file(named: Adapter.fileName))
    try directory.write(configuration.peftFile, named: LoRAConfiguration.fileName)
  }

  private func writeTensors(to output: OutputFile) throws(StorageError) {
    var tensors: [TensorInfo] = []
    for tensor in checkpointTensors {
      tensors.append(
        try TensorInfo(
          name: tensor.name, dtype: tensor.value.dtype, shape: tensor.value.shape,
          in: output.target))
    }
    try write(to: SafetensorsWriter(tensors, metadata: Adapter.checkpointMetadata, to: output))
  }

  /// Gives the tensors to a writer that was told of them.
  func write(to writer: some CheckpointWriter) throws(StorageError) {
    let values = Dictionary(
      uniqueKeysWithValues: checkpointTensors.map { ($0.name, $0.value) })
    for (index, tensor) in writer.tensors.enumerated() {
      guard let value = values[tensor.name] else { continue }
      try writer.write(value.bytes, of: index, at: 0)
    }
    try writer.finish()
  }
}

extension TensorInfo {
  /// Describes a tensor of a file.
  init(name: TensorName, dtype: DType, shape: Shape, in file: String) throws(StorageError) {
    do {
      try self.init(name: name, dtype: dtype, shape: shape)
    } catch {
      throw StorageError(.overflow(part: "tensor"), file: file, tensor: name)
    }
  }
}
