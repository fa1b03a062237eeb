internal import GraftAdapters
public import GraftCore
internal import GraftFormats
internal import GraftModels

/// What stands at a path: told from headers and small files, no tensor is read.
public struct Inspection: Sendable {
  /// The path.
  public let path: String
  /// The format of the tensors.
  public let format: CheckpointFormat
  /// What the checkpoint holds.
  public let kind: OpenedCheckpoint.Kind
  /// The architecture that the configuration names.
  public let architecture: String?
  /// The elements of all tensors; a stored copy of a tied tensor isn't counted twice.
  public let parameterCount: Int
  /// The bytes of all tensors.
  public let byteCount: Int
  /// The bytes of every dtype that occurs, the most first.
  public let bytesByDType: [(dtype: DType, byteCount: Int)]
  /// The tensors with their places.
  public let tensors: [Place]
  /// Sets of tensors that are one by the configuration.
  public let ties: [[TensorName]]
  /// What the configuration says of an adapter.
  public let adapter: AdapterFacts?
  /// The other files with their sizes.
  public let files: [(name: String, byteCount: Int)]
  /// The text metadata.
  public let metadata: [MetadataEntry]

  /// A tensor and where it stands.
  public struct Place: Sendable {
    /// The tensor.
    public let info: TensorInfo
    /// The file that holds its bytes, relative to the directory of the path.
    public let file: String
    /// Where its bytes begin; nil where they don't stand in one piece.
    public let offset: Int?
  }

  /// An adapter's rank, scaling and modules.
  public struct AdapterFacts: Sendable {
    /// The rank that isn't overridden for a module.
    public let rank: Int
    /// The α that isn't overridden for a module.
    public let alpha: Double
    /// The factor of B · A: α/r, or α/√r.
    public let scaling: Double
    /// The model that it was trained for, as the configuration spells it.
    public let base: String?
    /// The names of its modules.
    public let modules: [String]
  }
}

/// Describes a checkpoint.
///
/// - Throws: ``StorageError`` and ``AdapterError`` when its configuration can't be read.
public func inspect(_ checkpoint: OpenedCheckpoint) throws -> Inspection {
  let reader = checkpoint.reader
  let config: JSONValue =
    try checkpoint.json(ifPresent: "config.json") ?? .null
  let ties = checkpoint.ties(config)
  let copies = Set(ties.flatMap { $0.dropFirst() })
  var sizes: [DType: Int] = [:]
  for tensor in reader.tensors { sizes[tensor.dtype, default: 0] += tensor.byteCount }
  return Inspection(
    path: checkpoint.path, format: reader.format, kind: checkpoint.kind,
    architecture: config["architectures"]?[0]?.string ?? config["model_type"]?.string
      ?? (reader as? GGUFReader)?["general.architecture"]?.string,
    parameterCount: reader.tensors.reduce(0) {
      $0 + (copies.contains($1.name) ? 0 : $1.shape.elementCount)
    },
    byteCount: reader.tensors.reduce(0) { $0 + $1.byteCount },
    bytesByDType: sizes.map { ($0.key, $0.value) }.sorted {
      $0.byteCount == $1.byteCount
        ? $0.dtype.rawValue < $1.dtype.rawValue : $0.byteCount > $1.byteCount
    },
    tensors: reader.tensors.indices.map { place(of: $0, in: reader) },
    ties: ties,
    adapter: checkpoint.kind == .adapter ? try facts(of: checkpoint) : nil,
    files: checkpoint.files.map { ($0.name, $0.byteCount) }, metadata: reader.metadata)
}

private func place(of tensor: Int, in reader: any CheckpointReader) -> Inspection.Place {
  let extent = reader.extent(of: tensor)
  let file = extent?.file.path ?? reader.path
  return Inspection.Place(
    info: reader.tensors[tensor],
    file: file.split(separator: "/").last.map(String.init) ?? file,
    offset: extent?.range.lowerBound)
}

private func facts(of checkpoint: OpenedCheckpoint) throws -> Inspection.AdapterFacts {
  let configuration = try checkpoint.adapterConfiguration()
  let layout = try AdapterLayout(checkpoint.reader, configuration)
  return Inspection.AdapterFacts(
    rank: configuration.rank, alpha: configuration.alpha,
    scaling: configuration.usesRSLoRA
      ? configuration.alpha / Double(configuration.rank).squareRoot()
      : configuration.alpha / Double(configuration.rank),
    base: try checkpoint.json(LoRAConfiguration.fileName)["base_model_name_or_path"]?.string,
    modules: layout.modules.map(\.path))
}

extension OpenedCheckpoint {
  /// The sets of tensors that `config.json` declares to be one, the first of each the one that counts.
  func ties(_ config: JSONValue) -> [[TensorName]] {
    let names = Set(reader.tensors.map(\.name))
    if reader.format == .gguf {
      let isTied = names.contains("token_embd.weight") && !names.contains("output.weight")
      return isTied && kind == .model ? [["token_embd.weight", "output.weight"]] : []
    }
    let known = try? KnownArchitectures.configuration(config, file: path + "/config.json")
    guard kind == .model, let decoder = known as? any DecoderConfiguration,
      decoder.tiesEmbeddings,
      let embedding = decoder.storedNames(of: decoder.embeddingName).first(where: names.contains)
    else { return [] }
    return [[embedding, decoder.headName]]
  }

  /// The configuration, where it is of a known architecture.
  var knownConfiguration: (any ModelConfiguration)? {
    guard reader.format != .gguf, file("config.json") != nil, let json = try? json("config.json")
    else { return nil }
    return try? KnownArchitectures.configuration(json, file: path + "/config.json")
  }
}
