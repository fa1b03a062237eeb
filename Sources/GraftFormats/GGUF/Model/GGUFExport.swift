package import GraftCore

/// A model directory in GGUF's words: the tensors, and the keys and values of the header.
package struct GGUFExport {
  /// The tensors under GGUF's names, in the model's dtypes.
  package let reader: GGUFModelView
  /// The keys and values, without those that depend on the types of the tensors.
  package let entries: [(key: String, value: GGUFValue)]
  /// Tokens that end generation, and for which there is no key.
  package let surplusEnds: [Int]
  /// What the architecture's rules for mixtures depend on.
  package let model: GGUFMixture.Model

  /// Translates a model.
  ///
  /// - Parameters:
  ///   - name: What the model is called, if its metadata doesn't say.
  ///   - storedNames: The names under which the source may hold a tensor, its own first.
  /// - Throws: ``StorageError`` for a tensor or a tokenizer without a counterpart.
  package init(
    _ source: any CheckpointReader, _ parameters: GGUFParameters, name: String,
    tokenizer: GGUFTokenizerEntries.Files, path: String,
    storedNames: (TensorName) -> [TensorName]
  ) throws(StorageError) {
    reader = try GGUFModelView(source, parameters, storedNames: storedNames)
    model = GGUFMixture.Model(
      architecture: parameters.architecture.rawValue, layers: parameters.layers,
      isTied: parameters.isTied)
    let words = try GGUFTokenizerEntries(
      tokenizer, vocabularySize: parameters.vocabulary, path: path + "/tokenizer.json")
    surplusEnds = words.surplusEnds
    var origin = GGUFOrigin.entries(of: source.metadata)
    if !origin.contains(where: { $0.key == "general.name" }) {
      origin.insert(("general.name", .string(name)), at: 0)
    }
    var entries: [(key: String, value: GGUFValue)] = [
      ("general.architecture", .string(parameters.architecture.rawValue)),
      ("general.type", .string("model")),
    ]
    entries += origin
    entries += GGUFSampling.entries(of: tokenizer.generation)
    entries += parameters.entries
    entries += words.entries
    self.entries = entries
  }
}

extension GGUFMixture {
  /// The keys that say which types the tensors have.
  package static func entries(_ mixture: GGUFMixture?, for tensors: [TensorInfo])
    -> [(key: String, value: GGUFValue)]
  {
    let mixture = mixture ?? GGUFMixture(of: tensors.filter(isMatrix))
    var entries: [(key: String, value: GGUFValue)] = []
    if let mixture {
      entries.append(("general.file_type", .unsigned(mixture.fileType, bits: 32)))
    }
    if tensors.contains(where: \.dtype.isBlockQuantized) {
      entries.append(("general.quantization_version", .unsigned(2, bits: 32)))
    }
    return entries
  }

  /// The keys of a file with those of other types in place of its own.
  package static func entries(
    _ entries: [(key: String, value: GGUFValue)], changedTo mixture: GGUFMixture?,
    for tensors: [TensorInfo]
  ) -> [(key: String, value: GGUFValue)] {
    let own = Self.entries(mixture, for: tensors)
    return entries.filter {
      $0.key != "general.file_type" && $0.key != "general.quantization_version"
    } + own
  }
}
