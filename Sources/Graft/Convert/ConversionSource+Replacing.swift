internal import GraftCore
internal import GraftFormats
internal import GraftHDF5

extension ConversionSource {
  /// What one file with a checkpoint has, and the one that takes its place has not, by name.
  func missing(of present: OpenedCheckpoint, writing form: OutputForm) -> [String] {
    let reader = present.reader
    var names: Set<TensorName> = Set(tensors.map(\.name)).union(copies.map(\.name))
    var files: Set<String> = []
    var keys: Set<String> = []
    var holdsWords = false
    switch form {
    case .wordVectors:
      // One table takes the place of another; nothing else fits there.
      if reader.format == .word2vec || reader.format == .glove { return [] }
      names = []
    case .numPy(.singleArray):
      if (reader as? NumPyReader)?.tensors.map(\.name) == [NumPyReader.soleName] { return [] }
    case .hdf5:
      (files, keys) = (Set(self.files.map(\.name)), Set(metadata.map(\.key)))
      holdsWords = vocabulary != nil
    case .keras:
      (files, keys) = (Set((keras?.members ?? []).map(\.name)), Set(metadata.map(\.key)))
    case .safetensorsFile: keys = Set(metadata.map(\.key))
    case .gguf, .pyTorchFile, .numPy(.archive), .directory, .pyTorchDirectory: break
    }
    let hdf5 = reader as? HDF5Reader
    let inside = hdf5?.files ?? (reader as? KerasArchiveReader)?.files ?? []
    var missing = reader.tensors.map(\.name).filter { !names.contains($0) }.map { "tensor \($0)" }
    missing += reader.unreadable.map { "tensor \($0.name), \($0.kind)" }
    missing += inside.map(\.name).filter { !files.contains($0) }
    if hdf5?.hasVocabulary == true, !holdsWords { missing.append("the words of its table") }
    missing += Self.facts(of: present)
      .filter { !keys.contains($0) && !names.contains(TensorName($0)) }
      .map { ConversionLoss.metadata($0).what }
    let held = Set(annotations?.held ?? [])
    missing += (hdf5?.omissions ?? (reader as? KerasArchiveReader)?.omissions ?? [])
      .filter { !held.contains($0) }
    return missing + ((reader as? NumPyReader)?.omissions ?? [])
  }

  /// The keys of the metadata that say something: of a file of Keras those that describe its model, of GGUF none, whose keys are made
  /// of what the model says itself.
  private static func facts(of present: OpenedCheckpoint) -> [String] {
    let keys = present.ownMetadata.map(\.key).filter { $0 != "format" && $0 != TensorHash.key }
    switch present.reader.format {
    case .gguf, .word2vec, .glove, .fastText: return []
    case .keras: return keys.filter(KerasKey.describing.contains)
    case .hdf5 where (present.reader as? HDF5Reader)?.kerasLayout != nil:
      return keys.filter(KerasKey.describing.contains)
    case .hdf5, .safetensors, .pytorch, .numpy: return keys
    }
  }
}
