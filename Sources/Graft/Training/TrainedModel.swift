internal import GraftAdapters
internal import GraftCore
internal import GraftFormats
internal import GraftKernels

/// A base with some of its tensors trained, written as a whole model.
package struct TrainedModel {
  /// Where everything that wasn't trained is copied from.
  let base: OpenedCheckpoint
  /// The trained tensors in f32, under the names of the base's file.
  let masters: [TensorName: MemorySlice]

  /// The bytes that are in memory besides the masters.
  private static let tileByteCount = 4 << 20

  /// Writes configuration, tokenizer and weights into a directory, each whole or not at all.
  ///
  /// The weights are one file, in the base's dtypes. Other files of the directory stay.
  /// - Throws: ``StorageError`` when the system can't write.
  func write(into directory: String) throws(StorageError) {
    try Directory.create(directory)
    for file in base.files {
      let path = directory + "/" + file.name
      // The save before this one has written it.
      if Directory.hasFile(at: path), try file.hasContent(of: CompanionFile(at: path)) { continue }
      let folder = file.name.split(separator: "/").dropLast().joined(separator: "/")
      try Directory.create(folder, below: directory)
      let output = try AtomicFile(path: path)
      try file.write(to: output.output)
      try output.commit()
    }
    let file = try AtomicFile(path: directory + "/" + Self.weightsName)
    try writeWeights(to: file.output)
    try file.commit()
  }

  /// Writes the same files into a directory that appears whole.
  func write(into directory: AtomicDirectory) throws(StorageError) {
    for file in base.files { try file.write(into: directory) }
    try writeWeights(to: directory.file(named: Self.weightsName))
  }

  private func writeWeights(to output: OutputFile) throws(StorageError) {
    let metadata = base.reader.metadata.filter { $0.key != "format" }
    let writer = try SafetensorsWriter(
      base.reader.tensors, metadata: metadata + [MetadataEntry(key: "format", value: "pt")],
      to: output)
    let sources = base.reader.positions
    for (index, tensor) in writer.tensors.enumerated() {
      if let master = masters[tensor.name] {
        try write(master, as: tensor, at: index, to: writer)
      } else if let source = sources[tensor.name] {
        try writer.transfer(source, of: base.reader, to: index)
      }
    }
    try writer.finish()
  }

  static let weightsName = "model.safetensors"

  /// Rounds a master once, to the dtype of the base.
  ///
  /// - Throws: ``StorageError/Reason/notRepresentable(what:inFormat:)`` when the dtype has no number for a value.
  private func write(
    _ master: MemorySlice, as tensor: TensorInfo, at index: Int, to writer: SafetensorsWriter
  ) throws(StorageError) {
    let width = tensor.dtype.layout.bytes
    let step = Self.tileByteCount / width
    let tile = try MemorySlice(allocating: tensor.dtype, [min(step, tensor.shape.elementCount)])
    for start in stride(from: 0, to: tensor.shape.elementCount, by: step) {
      let count = min(step, tensor.shape.elementCount - start)
      let part = MemorySlice(
        master.memory, at: master.byteOffset + start * 4, dtype: .f32, shape: [1, count])
      let rounded = MemorySlice(tile.memory, dtype: tensor.dtype, shape: [1, count])
      let sums = LowRankUpdate.add([], to: part, into: rounded)
      guard sums.notFiniteCount == 0 else {
        throw StorageError(
          .notRepresentable(
            what: "\(sums.notFiniteCount) trained values", inFormat: tensor.dtype.rawValue),
          file: base.path, tensor: tensor.name,
          remedy: "the state is saved; train from a base in F32 or BF16")
      }
      try writer.write(rounded.bytes, of: index, at: start * width)
    }
  }
}
