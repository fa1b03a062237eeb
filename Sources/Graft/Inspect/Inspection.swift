internal import GraftAdapters
public import GraftCore
internal import GraftFormats
internal import GraftModels

/// What stands at a path: told from headers and small files; of tensors only an adapter's α are read.
public struct Inspection: Sendable {
  /// The path.
  public let path: String
  /// The format of the tensors.
  public let format: CheckpointFormat
  /// What the checkpoint holds.
  public let kind: OpenedCheckpoint.Kind
  /// Whose conventions its names, metadata and configuration follow, where they are known.
  public let layout: Layout?
  /// The architecture that the configuration names.
  public let architecture: String?
  /// The values of all tensors; a stored copy of a tied tensor isn't counted twice, and packed values are counted one by one.
  public let parameterCount: Int
  /// The bytes of all tensors.
  public let byteCount: Int
  /// The bytes of every dtype that occurs, the most first.
  public let bytesByDType: [(dtype: DType, byteCount: Int)]
  /// The tensors with their places.
  public let tensors: Places
  /// Sets of tensors that are one by the configuration, the metadata or the file itself.
  public let ties: [[TensorName]]
  /// Tensors of kinds that can't be read.
  public let unreadable: [UnreadableTensor]
  /// What names, metadata and configuration say of an adapter.
  public let adapter: AdapterFacts?
  /// How weights are packed, where a configuration says it.
  public let quantization: Quantization?
  /// The files that hold the tensors, relative to the directory of the path, with their sizes.
  public let weightFiles: [(name: String, byteCount: Int)]
  /// The other files, relative to the same directory, with their sizes.
  public let files: [(name: String, byteCount: Int)]
  /// The text metadata.
  public let metadata: [MetadataEntry]

  /// Whose conventions a checkpoint follows.
  public enum Layout: String, Sendable, CaseIterable {
    /// PEFT: `adapter_config.json`, `base_model.model.….lora_A.weight`.
    case peft
    /// MLX and mlx-lm: metadata `format: mlx`, `lora_a`, packed weights with scales and biases.
    case mlx
    /// kohya's sd-scripts and LyCORIS: `lora_unet_….lora_down.weight`, `.alpha`, metadata `ss_…`.
    case kohya
    /// diffusers: `unet.….lora_A.weight`, `transformer.…`, models with a `_class_name`.
    case diffusers
    /// llama.cpp's adapters: `blk.0.attn_q.weight.lora_a`.
    case gguf

    /// What the program, or its format, is called.
    public var name: String {
      switch self {
      case .peft: "PEFT"
      case .mlx: "MLX"
      case .kohya: "kohya"
      case .diffusers: "diffusers"
      case .gguf: "GGUF"
      }
    }
  }

  /// A tensor and where it stands.
  public struct Place: Sendable {
    /// The tensor.
    public let info: TensorInfo
    /// The file that holds its bytes, relative to the directory of the path.
    public let file: String
    /// Where its bytes begin; nil where they don't stand in one piece.
    public let offset: Int?
  }

  /// An adapter's method, rank, scaling and modules.
  public struct AdapterFacts: Sendable {
    /// The method: LoRA, rsLoRA, DoRA, LoHa, LoKr, OFT or full.
    public let method: String
    /// The program that wrote it, as far as it says so.
    public let tool: String?
    /// The rank of most modules; nil where there is none.
    public let rank: Int?
    /// The α of most modules; nil where it isn't known.
    public let alpha: Double?
    /// The factor of B · A of most modules; nil where it isn't known.
    public let scaling: Double?
    /// The ranks with the number of their modules, the most first.
    public let ranks: [(rank: Int, moduleCount: Int)]
    /// The model that it was trained for, as the adapter spells it.
    public let base: String?
    /// The names of its modules.
    public let modules: [String]
  }

  /// How a model's weights are packed: groups of values share a scale.
  public struct Quantization: Sendable {
    /// The bits of a value, where they are the same everywhere or given as the rule.
    public let bits: Int
    /// The values that share a scale.
    public let groupSize: Int
    /// How values follow from bits: `affine`, `mxfp4` and so on.
    public let mode: String
    /// The modules whose weights are packed.
    public let moduleCount: Int
  }
}

/// Describes a checkpoint.
///
/// - Throws: ``StorageError`` and ``AdapterError`` when its configuration can't be read.
public func inspect(_ checkpoint: OpenedCheckpoint) throws -> Inspection {
  let reader = checkpoint.reader
  let config: JSONValue =
    try checkpoint.json(ifPresent: "config.json") ?? .null
  let recognition = try Recognition(checkpoint, config)
  let ties = checkpoint.ties(config)
  let copies = ties.flatMap { $0.dropFirst() }
  var sizes: [(dtype: DType, byteCount: Int)] = []
  for tensor in reader.tensors {
    if let place = sizes.firstIndex(where: { $0.dtype == tensor.dtype }) {
      sizes[place].byteCount += tensor.byteCount
    } else {
      sizes.append((tensor.dtype, tensor.byteCount))
    }
  }
  let lookup = TensorLookup(reader.tensors, for: copies.count)
  let names = RelativeNames(openedAt: checkpoint.path)
  let copied = copies.compactMap { lookup.position(of: $0) }.reduce(0) {
    $0 + reader.tensors[$1].shape.elementCount
  }
  return Inspection(
    path: checkpoint.path, format: reader.format, kind: recognition.kind,
    layout: recognition.layout,
    architecture: config["architectures"]?[0]?.string ?? config["model_type"]?.string
      ?? config["_class_name"]?.string ?? recognition.architecture,
    parameterCount: (recognition.parameterCount ?? elementCount(of: reader)) - copied,
    byteCount: sizes.reduce(0) { $0 + $1.byteCount },
    bytesByDType: sizes.sorted {
      $0.byteCount == $1.byteCount
        ? $0.dtype.rawValue < $1.dtype.rawValue : $0.byteCount > $1.byteCount
    },
    tensors: Inspection.Places(reader, names), ties: ties,
    unreadable: reader.unreadable, adapter: recognition.adapter,
    quantization: recognition.quantization, weightFiles: weightFiles(of: reader, names),
    files: checkpoint.files.map { ($0.name, $0.byteCount) }, metadata: reader.metadata)
}

/// The files that a reader reads, but for those that were unpacked and have no name.
private func weightFiles(
  of reader: any CheckpointReader, _ names: RelativeNames
) -> [(name: String, byteCount: Int)] {
  var paths = Set<String>()
  return reader.inputs.filter {
    Directory.hasFile(at: $0.path) && paths.insert($0.path).inserted
  }.map { (names.name(of: $0.path), $0.byteCount) }
}

private func elementCount(of reader: any CheckpointReader) -> Int {
  reader.tensors.reduce(0) { $0 + $1.shape.elementCount }
}

extension OpenedCheckpoint {
  /// The sets of tensors that are declared to be one, the first of each the one that counts: by `config.json`, or by metadata
  /// that name the kept tensor of one left out, as `safetensors.torch.save_model` writes them.
  func ties(_ config: JSONValue) -> [[TensorName]] {
    if reader.format == .gguf {
      let isTied =
        reader.index(of: "token_embd.weight") != nil && reader.index(of: "output.weight") == nil
      return isTied && kind == .model ? [["token_embd.weight", "output.weight"]] : []
    }
    let known = try? KnownArchitectures.configuration(config, file: path + "/config.json")
    guard kind == .model, let decoder = known as? any DecoderConfiguration,
      decoder.tiesEmbeddings,
      let embedding = decoder.storedNames(of: decoder.embeddingName).first(where: {
        reader.index(of: $0) != nil
      })
    else { return recordedTies }
    return [[embedding, decoder.headName]]
  }

  /// The ties that the file itself shows, and those that metadata or an index record: left-out name to kept name.
  var recordedTies: [[TensorName]] {
    guard reader.format == .safetensors || reader.format == .hdf5 else {
      return reader.ties.map { $0.map { reader.tensors[$0].name } }
    }
    let indexed = (reader as? ShardedReader)?.index.ties ?? []
    let metadata = reader.metadata
    let lookup = TensorLookup(reader.tensors, for: indexed.count + metadata.count)
    var ties: [[TensorName]] = []
    var places: [TensorName: Int] = [:]
    func add(_ left: TensorName, _ kept: TensorName) {
      guard left != kept, lookup.position(of: kept) != nil, lookup.position(of: left) == nil
      else { return }
      if let place = places[kept] {
        ties[place].append(left)
      } else {
        places[kept] = ties.count
        ties.append([kept, left])
      }
    }
    guard !reader.tensors.isEmpty else { return [] }
    for tie in indexed { add(tie.left, tie.kept) }
    // Metadata may have a hundred megabytes: what is longer than any name is none, and isn't copied.
    let longest = reader.tensors.reduce(0) { max($0, $1.name.utf8.count) }
    for entry in metadata where entry.value.utf8.count <= longest {
      add(TensorName(entry.key), TensorName(entry.value))
    }
    return ties
  }

  /// The configuration, where it is of a known architecture.
  var knownConfiguration: (any ModelConfiguration)? {
    guard reader.format != .gguf, file("config.json") != nil, let json = try? json("config.json")
    else { return nil }
    return try? KnownArchitectures.configuration(json, file: path + "/config.json")
  }
}
