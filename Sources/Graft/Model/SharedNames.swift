internal import GraftCore
internal import GraftFormats
internal import GraftHDF5

/// Names that stand for one tensor.
struct SharedNames {
  /// Each further name with the tensor that it stands for.
  var copies: [(name: TensorName, of: TensorName)] = []
  /// The places of stored tensors that aren't written, as another one stands for them.
  var dropped = Set<Int>()
}

extension OpenedCheckpoint {
  /// The tensors that the file itself says are one: names that share a storage in PyTorch's files, and names that metadata keep
  /// for another one, as `huggingface_hub` writes them.
  ///
  /// A model that its configuration declares untied keeps every tensor, whatever shared its storage.
  func sharedNames() throws(StorageError) -> SharedNames {
    var names = SharedNames()
    var keepsAll = false
    if kind == .model, let config = try json(ifPresent: "config.json") {
      keepsAll = config["tie_word_embeddings"] == false
    }
    for tie in recordedTies {
      for name in tie.dropFirst() {
        if let place = reader.index(of: name) {
          guard !keepsAll else { continue }
          names.dropped.insert(place)
        }
        names.copies.append((name, tie[0]))
      }
    }
    return names
  }
}

extension OutputForm {
  /// Whether several names can stand for one tensor, in the form itself or by its metadata.
  var canShareTensors: Bool {
    switch self {
    case .directory, .safetensorsFile, .hdf5, .pyTorchDirectory, .pyTorchFile: true
    case .gguf, .keras, .numPy, .wordVectors: false
    }
  }

  /// The metadata to write: with the names of dropped tensors where nothing else keeps them, and, of PyTorch's files, the word
  /// by which transformers knows safetensors of PyTorch's layout.
  func metadata(
    _ metadata: [MetadataEntry], of format: CheckpointFormat, with names: SharedNames
  ) -> [MetadataEntry] {
    switch self {
    case .directory, .safetensorsFile, .hdf5:
      let known: Set<TensorName> =
        names.copies.isEmpty ? [] : Set(metadata.map { TensorName($0.key) })
      var added = names.copies.filter { !known.contains($0.name) }.map {
        MetadataEntry(key: $0.name.text, value: $0.of.text)
      }
      if format == .pytorch, !metadata.contains(where: { $0.key == "format" }) {
        added.append(MetadataEntry(key: "format", value: "pt"))
      }
      return metadata + added
    case .gguf, .keras, .pyTorchDirectory, .pyTorchFile, .numPy, .wordVectors: return metadata
    }
  }
}
