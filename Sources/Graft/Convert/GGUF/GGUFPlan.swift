internal import GraftCore
internal import GraftFormats
internal import GraftModels

/// What a checkpoint becomes in GGUF.
///
/// A model directory becomes what llama.cpp loads. A GGUF file stays what it is but for the types of its tensors. Tensors of which nothing
/// more is known keep their names.
struct GGUFPlan {
  /// The tensors to read, under the names that they get.
  let reader: any CheckpointReader
  /// The tensors as they will be written.
  let tensors: [TensorInfo]
  /// The keys and values.
  let entries: [(key: String, value: GGUFValue)]
  /// What GGUF has no place for.
  let losses: [ConversionLoss]
  /// What it has no place for, and nobody needs.
  let notes: [ConversionLoss]

  /// Plans the result.
  ///
  /// - Throws: ``StorageError`` and ``ModelError`` for a source without a counterpart.
  init(_ checkpoint: OpenedCheckpoint, _ mixture: GGUFMixture?) throws {
    if let source = checkpoint.reader as? GGUFReader {
      self = try GGUFPlan(copying: source, mixture)
      return
    }
    switch checkpoint.kind {
    case .model: self = try GGUFPlan(exporting: checkpoint, mixture)
    case .adapter:
      throw StorageError(
        .unsupported(feature: "conversion to GGUF", found: "an adapter"), file: checkpoint.path,
        remedy: "merge it into its base: graft merge MODEL ADAPTER --out DIR")
    case .embeddings, .tensors: self = try GGUFPlan(wrapping: checkpoint, mixture)
    }
  }

  private init(
    _ reader: any CheckpointReader, entries: [(key: String, value: GGUFValue)],
    losses: [ConversionLoss], notes: [ConversionLoss] = [], _ mixture: GGUFMixture?,
    _ dtype: (TensorInfo) -> DType
  ) throws(StorageError) {
    var tensors: [TensorInfo] = []
    for tensor in reader.tensors {
      let target = dtype(tensor)
      if target != tensor.dtype, tensor.dtype.isBlockQuantized, !tensor.dtype.hasValues {
        throw StorageError(
          .unsupported(feature: "values of type", found: tensor.dtype.description),
          file: reader.path, tensor: tensor.name,
          remedy: "leave --dtype away: GGUF keeps the tensor as it is")
      }
      tensors.append(
        try TensorInfo(name: tensor.name, dtype: target, shape: tensor.shape, in: reader.path))
    }
    self.reader = reader
    self.tensors = tensors
    self.losses = losses
    self.notes = notes
    self.entries = GGUFMixture.entries(entries, changedTo: mixture, for: tensors)
  }
}

// MARK: - The three kinds of sources

extension GGUFPlan {
  private init(copying source: GGUFReader, _ mixture: GGUFMixture?) throws(StorageError) {
    let entries = source.entries.filter {
      !$0.key.hasPrefix("split.") && $0.key != "general.alignment"
    }
    guard let mixture else {
      self.init(asItIs: source, entries: entries)
      return
    }
    let architecture = source["general.architecture"]?.string ?? ""
    let model = GGUFMixture.Model(
      architecture: architecture, layers: source[architecture + ".block_count"]?.int ?? 0,
      isTied: source.index(of: "output.weight") == nil)
    try self.init(source, entries: entries, losses: [], mixture) {
      mixture.dtype(of: $0, in: model)
    }
  }

  private init(asItIs source: GGUFReader, entries: [(key: String, value: GGUFValue)]) {
    reader = source
    tensors = source.tensors
    (losses, notes) = ([], [])
    self.entries = entries
  }

  private init(wrapping checkpoint: OpenedCheckpoint, _ mixture: GGUFMixture?)
    throws(StorageError)
  {
    // GGUF has no type for the bytes of words.
    let words = StaticEmbeddingLayout(checkpoint.reader.tensors)?.vocabulary
    let keys = Self.keyLosses(checkpoint.ownMetadata)
    let reader: (any CheckpointReader)? = words.map { words in
      RenamedCheckpoint(checkpoint.reader) { $0 != words.bytes && $0 != words.ends }
    }
    try self.init(
      reader ?? checkpoint.reader, entries: GGUFOrigin.entries(of: checkpoint.ownMetadata),
      losses: checkpoint.files.map { ConversionLoss($0.name) } + keys, mixture
    ) { mixture?.dtype(ofPlain: $0) ?? $0.dtype }
  }

  private init(exporting checkpoint: OpenedCheckpoint, _ mixture: GGUFMixture?) throws {
    let file = checkpoint.path + "/config.json"
    let json = try checkpoint.json("config.json")
    let configuration = try KnownArchitectures.decoder(json, file: file)
    let parameters = try GGUFParameters(configuration, file: file)
    var words = GGUFTokenizerEntries.Files()
    words.tokenizer = try checkpoint.json(ifPresent: "tokenizer.json")
    words.settings = try checkpoint.json(ifPresent: "tokenizer_config.json") ?? .null
    words.special = try checkpoint.json(ifPresent: "special_tokens_map.json") ?? .null
    words.configuration = json
    words.generation = try checkpoint.json(ifPresent: "generation_config.json") ?? .null
    words.template = try checkpoint.file("chat_template.jinja").map(checkpoint.text)
    for file in checkpoint.files {
      guard let name = Self.templateName(file.name) else { continue }
      words.namedTemplates.append((name, try checkpoint.text(of: file)))
    }
    let export = try GGUFExport(
      checkpoint.reader, parameters, name: checkpoint.name, tokenizer: words, path: checkpoint.path
    ) { Self.storedNames(of: $0, configuration) }
    var losses = checkpoint.files.filter { !Self.isHeld($0.name, words) }
      .map { ConversionLoss($0.name) }
    var notes: [ConversionLoss] = []
    let settings = GGUFKeyTable.tokenizerSettings(contextLength: parameters.context)
    let tables: [(file: String, content: JSONValue, table: GGUFKeyTable)] = [
      ("config.json", json, .configuration(configuration)),
      ("generation_config.json", words.generation, .generation),
      ("tokenizer_config.json", words.settings, settings),
      ("special_tokens_map.json", words.special, .specialTokens),
    ]
    for (file, content, table) in tables {
      let keys = table.unheld(in: content)
      losses += keys.others.map { ConversionLoss.key($0, of: file) }
      notes += ConversionLoss.bookkeeping(keys.bookkeeping, of: file)
    }
    let ends = words.generation["eos_token_id"] == nil ? "config.json" : "generation_config.json"
    losses += export.surplusEnds.map { ConversionLoss.key("eos_token_id \($0)", of: ends) }
    losses += export.reader.surplus.map { ConversionLoss("tensor \($0)") }
    losses += Self.keyLosses(checkpoint.reader.metadata)
    try self.init(
      export.reader, entries: export.entries, losses: losses, notes: notes, mixture
    ) {
      mixture?.dtype(of: $0, in: export.model) ?? GGUFMixture.keptDType(of: $0)
    }
  }

  /// The metadata that no key of GGUF can be made of.
  private static func keyLosses(_ metadata: [MetadataEntry]) -> [ConversionLoss] {
    metadata.filter { !GGUFOrigin.canHold($0) }.map { ConversionLoss.metadata($0.key) }
  }

  /// The names that a checkpoint may have for a tensor; those of a text model within a larger one begin otherwise.
  private static func storedNames(
    of name: TensorName, _ configuration: any DecoderArchitecture
  ) -> [TensorName] {
    guard (configuration as? Gemma3Configuration)?.isPartOfLarger == true,
      name.hasPrefix("model.")
    else { return configuration.storedNames(of: name) }
    let inner = TensorName("model.language_model." + name.text.dropFirst("model.".count))
    return configuration.storedNames(of: inner)
  }

  /// The name of a chat template by its file, in transformers' folder for those of other occasions than the usual one.
  private static func templateName(_ file: String) -> String? {
    let (folder, suffix) = ("additional_chat_templates/", ".jinja")
    guard file.hasPrefix(folder), file.hasSuffix(suffix) else { return nil }
    let name = file.dropFirst(folder.count).dropLast(suffix.count)
    return name.isEmpty || name.contains("/") ? nil : String(name)
  }

  /// Whether a file is looked through key by key, or GGUF says in its own words what it says.
  private static func isHeld(_ name: String, _ words: GGUFTokenizerEntries.Files) -> Bool {
    let always: Set<String> = [
      "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
      "special_tokens_map.json", "chat_template.jinja",
    ]
    // What `tokenizer.json` says too.
    let tokens: Set<String> = [
      "vocab.json", "merges.txt", "added_tokens.json", "tokenizer.model", "spiece.model",
    ]
    return always.contains(name) || templateName(name) != nil
      || words.tokenizer != nil && tokens.contains(name)
  }
}

extension OpenedCheckpoint {
  /// A companion as text.
  ///
  /// - Throws: ``StorageError``; also where it isn't UTF-8.
  fileprivate func text(of file: CompanionFile) throws(StorageError) -> String {
    guard let text = String(validating: try file.contents(), as: UTF8.self) else {
      throw StorageError(
        .malformed(rule: "UTF-8", expected: "text", found: "other bytes"),
        file: path + "/" + file.name)
    }
    return text
  }
}
