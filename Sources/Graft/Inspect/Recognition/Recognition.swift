internal import GraftAdapters
internal import GraftCore
internal import GraftFormats
internal import GraftHDF5

/// What a checkpoint is beyond its format, told from names, metadata and configuration.
struct Recognition {
  private(set) var kind: OpenedCheckpoint.Kind
  private(set) var layout: Inspection.Layout?
  private(set) var architecture: String?
  private(set) var adapter: Inspection.AdapterFacts?
  private(set) var quantization: Inspection.Quantization?
  /// The values of a model with packed weights; nil where tensors hold what they say.
  private(set) var parameterCount: Int?

  /// Looks at a checkpoint and its parsed `config.json`, null where it has none.
  ///
  /// - Throws: ``StorageError`` and ``AdapterError`` for files that are there and can't be read.
  init(_ checkpoint: OpenedCheckpoint, _ config: JSONValue) throws {
    kind = checkpoint.kind
    let reader = checkpoint.reader
    if let gguf = reader as? GGUFReader {
      architecture = gguf["general.architecture"]?.string
      guard gguf["general.type"]?.string == "adapter" else { return }
    }
    switch kind {
    case .embeddings: return
    case .adapter, .model, .tensors: break
    }
    let parts = AdapterModules(reader)
    if kind == .adapter || parts.partCount * 2 > reader.tensors.count || reader.isGGUFAdapter {
      kind = .adapter
      let facts = try AdapterRecognition(checkpoint, parts)
      (layout, adapter) = (facts.layout, facts.facts)
      return
    }
    if let model = KerasModel(config) { architecture = model.className }
    if config["_class_name"]?.string != nil, config["_diffusers_version"] != nil {
      layout = .diffusers
    }
    if reader.metadataText("format") == "mlx" { layout = .mlx }
    if let packed = PackedWeights(reader, config) {
      layout = .mlx
      (quantization, parameterCount) = (packed.quantization, packed.parameterCount)
    }
  }
}

extension CheckpointReader {
  /// The text metadata of a key.
  func metadataText(_ key: String) -> String? { metadata.first { $0.key == key }?.value }

  /// Whether the file says that it is an adapter of llama.cpp.
  fileprivate var isGGUFAdapter: Bool {
    (self as? GGUFReader)?["general.type"]?.string == "adapter"
  }
}
