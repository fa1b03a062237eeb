internal import GraftAdapters
internal import GraftCore
internal import GraftFormats

/// What an adapter's names, shapes, metadata and configuration say of it.
struct AdapterRecognition {
  let layout: Inspection.Layout?
  let facts: Inspection.AdapterFacts

  init(_ checkpoint: OpenedCheckpoint, _ parts: AdapterModules) throws {
    let config = try checkpoint.json(ifPresent: LoRAConfiguration.fileName) ?? .null
    let layout = Self.layout(of: checkpoint.reader, config, parts)
    let strengths = try Self.strengths(checkpoint, layout, config, parts)
    let ranks = Self.counted(parts.modules.compactMap(\.rank))
    let rank = config["r"]?.int ?? ranks.first?.value
    let usual = strengths.first { $0.value.rank == rank }?.value ?? strengths.first?.value
    self.layout = layout
    facts = Inspection.AdapterFacts(
      method: Self.method(layout, config, parts), tool: Self.tool(checkpoint, layout, config),
      rank: rank, alpha: usual?.alpha, scaling: usual?.scaling,
      ranks: ranks.map { (rank: $0.value, moduleCount: $0.count) },
      base: Self.base(checkpoint, layout, config),
      modules: parts.modules.map { module in
        let name = TensorName(utf8: module.name)
        // PEFT's own wrapper is no part of the base's names.
        return layout == .peft && name.hasPrefix("base_model.model.")
          ? TensorName(utf8: Array(name.utf8.dropFirst(17))).text : name.text
      })
  }

  // MARK: - Layout

  private static func layout(
    of reader: any CheckpointReader, _ config: JSONValue, _ parts: AdapterModules
  ) -> Inspection.Layout? {
    if reader.format == .gguf { return .gguf }
    if config["fine_tune_type"] != nil || config["lora_parameters"] != nil { return .mlx }
    if config["peft_type"] != nil { return .peft }
    if parts.hasLowercaseFactors { return .mlx }
    let names = parts.modules.lazy.map { TensorName(utf8: $0.name) }
    let hasTrainerMetadata = reader.metadata.contains { $0.key.hasPrefix("ss_") }
    if names.contains(where: \.isFlattened) || hasTrainerMetadata { return .kohya }
    if names.contains(where: \.isOfPipeline)
      || reader.metadataText("lora_adapter_metadata") != nil
    {
      return .diffusers
    }
    return names.contains { $0.hasPrefix("base_model.model.") } || config.object != nil
      ? .peft : nil
  }

  // MARK: - Method

  private static func method(
    _ layout: Inspection.Layout?, _ config: JSONValue, _ parts: AdapterModules
  ) -> String {
    if let kind = config["peft_type"]?.string, kind != "LORA" { return kind }
    if layout == .mlx, config["fine_tune_type"]?.string == "full" { return "full" }
    let kinds = counted(parts.modules.map(\.kind))
    switch kinds.first?.value {
    case .hadamard: return "LoHa"
    case .kronecker: return "LoKr"
    case .orthogonal: return "OFT"
    case .whole: return "full"
    case .lowRank, nil: break
    }
    if config["use_dora"]?.bool == true || config["fine_tune_type"]?.string == "dora"
      || parts.modules.contains(where: \.hasMagnitude)
    {
      return "DoRA"
    }
    return config["use_rslora"]?.bool == true ? "rsLoRA" : "LoRA"
  }

  // MARK: - Strength

  /// A rank with its α and the factor that follows.
  private struct Strength: Hashable {
    let rank: Int
    let alpha: Double
    let scaling: Double
  }

  /// The strengths of the modules, those of most modules first; none where nothing says α.
  private static func strengths(
    _ checkpoint: OpenedCheckpoint, _ layout: Inspection.Layout?, _ config: JSONValue,
    _ parts: AdapterModules
  ) throws -> [(value: Strength, count: Int)] {
    switch layout {
    case .peft where config["peft_type"]?.string ?? "LORA" == "LORA" && config.object != nil:
      let rank = config["r"]?.int ?? parts.modules.lazy.compactMap(\.rank).first ?? 8
      guard let alpha = (config["lora_alpha"] ?? 8).double, rank > 0 else { return [] }
      let root = config["use_rslora"]?.bool == true
      let divisor = root ? Double(rank).squareRoot() : Double(rank)
      return [(Strength(rank: rank, alpha: alpha, scaling: alpha / divisor), 1)]
    case .mlx:
      // mlx-lm multiplies by the scale as it is.
      guard let scale = config["lora_parameters"]?["scale"]?.double else { return [] }
      return counted(
        parts.modules.compactMap(\.rank).map {
          Strength(rank: $0, alpha: scale * Double($0), scaling: scale)
        })
    case .kohya: return try counted(tensorStrengths(checkpoint.reader, parts, default: true))
    case .diffusers:
      let stored = try tensorStrengths(checkpoint.reader, parts, default: false)
      if !stored.isEmpty { return counted(stored) }
      return counted(pipelineStrengths(checkpoint, parts))
    case .gguf:
      let alpha = (checkpoint.reader as? GGUFReader)?["adapter.lora.alpha"]?.double ?? 0
      return counted(
        parts.modules.compactMap(\.rank).filter { $0 > 0 }.map {
          Strength(
            rank: $0, alpha: alpha, scaling: alpha == 0 ? 1 : alpha / Double($0))
        })
    case .peft, nil: return []
    }
  }

  /// Strengths by the scalars beside the factors; where one is missing or zero α is the rank.
  private static func tensorStrengths(
    _ reader: any CheckpointReader, _ parts: AdapterModules, default isRank: Bool
  ) throws -> [Strength] {
    guard isRank || parts.modules.contains(where: { $0.alpha != nil }) else { return [] }
    let tiles = try TileReader()
    var strengths: [Strength] = []
    for module in parts.modules {
      guard let rank = module.rank, rank > 0 else { continue }
      var alpha = 0.0
      if let tensor = module.alpha, reader.tensors[tensor].shape.elementCount == 1,
        reader.tensors[tensor].dtype.hasValues
      {
        let value = try tiles.values(of: TensorTile(tensor: tensor, elements: 0..<1), reader)
        // Safety: RawSpan checks the bounds, and every bit pattern is a number.
        alpha = unsafe value.bytes.unsafeLoad(fromByteOffset: 0, as: Double.self)
      }
      if alpha == 0 { alpha = Double(rank) }
      strengths.append(Strength(rank: rank, alpha: alpha, scaling: alpha / Double(rank)))
    }
    return strengths
  }

  /// Strengths by the configuration that diffusers packs into the metadata, with keys such as `unet.lora_alpha`; without one,
  /// α is the rank.
  private static func pipelineStrengths(
    _ checkpoint: OpenedCheckpoint, _ parts: AdapterModules
  ) -> [Strength] {
    let packed = checkpoint.reader.metadataText("lora_adapter_metadata").flatMap {
      try? JSONValue.parse(Array($0.utf8), file: checkpoint.path)
    }
    return parts.modules.compactMap { module in
      guard let rank = module.rank, rank > 0 else { return nil }
      let component = String(decoding: module.name.prefix { $0 != 0x2E }, as: UTF8.self)
      let alpha = packed?[component + ".lora_alpha"]?.double ?? Double(rank)
      let root = packed?[component + ".use_rslora"]?.bool == true
      return Strength(
        rank: rank, alpha: alpha,
        scaling: alpha / (root ? Double(rank).squareRoot() : Double(rank)))
    }
  }

  // MARK: - Origin

  private static func tool(
    _ checkpoint: OpenedCheckpoint, _ layout: Inspection.Layout?, _ config: JSONValue
  ) -> String? {
    switch layout {
    case .peft: config["peft_version"]?.string.map { "peft \($0)" }
    case .mlx: config.object == nil ? nil : "mlx-lm"
    case .kohya: checkpoint.reader.metadataText("ss_network_module")
    case .diffusers:
      checkpoint.reader.metadataText("lora_adapter_metadata") == nil ? nil : "diffusers"
    case .gguf, nil: nil
    }
  }

  private static func base(
    _ checkpoint: OpenedCheckpoint, _ layout: Inspection.Layout?, _ config: JSONValue
  ) -> String? {
    switch layout {
    case .mlx: config["model"]?.string
    case .kohya:
      checkpoint.reader.metadataText("ss_base_model_version")
        ?? checkpoint.reader.metadataText("ss_sd_model_name")
    case .gguf:
      (checkpoint.reader as? GGUFReader)?["general.base_model.0.name"]?.string
    case .peft, .diffusers, nil: config["base_model_name_or_path"]?.string
    }
  }

  /// The values that occur, with how often, the most frequent first; of equals the one met first.
  private static func counted<Value: Hashable>(_ values: [Value]) -> [(value: Value, count: Int)] {
    var places: [Value: Int] = [:]
    var counts: [(value: Value, count: Int)] = []
    for value in values {
      if let place = places[value] {
        counts[place].count += 1
      } else {
        places[value] = counts.count
        counts.append((value, 1))
      }
    }
    return counts.enumerated().sorted {
      ($1.element.count, $0.offset) < ($0.element.count, $1.offset)
    }.map(\.element)
  }
}

extension TensorName {
  /// Whether a module's path is spelled with underscores behind a network's prefix, as sd-scripts and LyCORIS do.
  fileprivate var isFlattened: Bool {
    !utf8.contains(0x2E)
      && ["lora_unet_", "lora_te_", "lora_te1_", "lora_te2_", "lora_te3_", "lora_", "lycoris_"]
        .contains(where: hasPrefix)
  }

  /// Whether a module's path begins with the component of a diffusers pipeline.
  fileprivate var isOfPipeline: Bool {
    // GPT-2's own names begin with transformer.h.
    !hasPrefix("transformer.h.")
      && [
        "unet.", "transformer.", "transformer_2.", "text_encoder.", "text_encoder_2.",
        "text_encoder_3.", "diffusion_model.", "prior.",
      ].contains(where: hasPrefix)
  }
}
