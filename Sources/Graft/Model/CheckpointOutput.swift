package import GraftCore
internal import GraftFormats
public import GraftHDF5

/// In what form a verb writes a model.
public enum OutputForm: Sendable, Equatable {
  /// A directory with safetensors; above the limit in shards with an index.
  case safetensors(maximumShardByteCount: Int = 5_000_000_000)
  /// One HDF5 file with everything inside.
  case hdf5(HDF5Compression = .none)

  /// The form that a path's suffix asks for.
  public init(for path: String) {
    let name = path.lowercased()
    self = name.hasSuffix(".h5") || name.hasSuffix(".hdf5") ? .hdf5() : .safetensors()
  }
}

/// A whole model being written: tensors and companions, which appear together or not at all.
package struct CheckpointOutput: Sendable {
  /// Takes the tensors' bytes.
  package let writer: any CheckpointWriter
  /// Where the model will appear.
  package let path: String
  private let target: Target

  private enum Target: Sendable {
    case directory(AtomicDirectory)
    case file(AtomicFile)
  }

  /// Lays the output out and writes the companions.
  ///
  /// - Throws: ``StorageError`` when something stands at the path that isn't a model, or the disk is full.
  package init(
    path: String, form: OutputForm, tensors: [TensorInfo], metadata: [MetadataEntry],
    files: [CompanionFile], stem: String = "model", overwrites: Bool = false
  ) throws(StorageError) {
    self.path = path
    let names = files.map(\.name)
    let needed = tensors.reduce(0) { $0 + $1.byteCount } + files.reduce(0) { $0 + $1.byteCount }
    if let available = Directory.availableBytes(at: path), available < needed {
      throw StorageError(.noSpace(neededBytes: needed, availableBytes: available), file: path)
    }
    switch form {
    case .safetensors(let limit):
      try OutputTarget(path, overwrites: overwrites).checkDirectory(holding: names)
      let directory = try AtomicDirectory(path: path)
      for file in files { try file.write(into: directory) }
      writer = try ShardedWriter(
        tensors, metadata: metadata, maximumByteCount: limit, stem: stem, into: directory)
      target = .directory(directory)
    case .hdf5(let compression):
      try OutputTarget(path, overwrites: overwrites).checkFile(holding: .init(of: names))
      let file = try AtomicFile(path: path)
      writer = try HDF5Writer(
        file.output, tensors: tensors, metadata: metadata, files: files.map(\.content),
        compression: compression)
      target = .file(file)
    }
  }

  /// Completes the tensors and makes everything appear.
  package func commit() throws(StorageError) {
    try writer.finish()
    switch target {
    case .directory(let directory): try directory.commit()
    case .file(let file): try file.commit()
    }
  }
}
