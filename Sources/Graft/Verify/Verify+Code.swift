internal import GraftAdapters
internal import GraftCore
internal import GraftHDF5

extension Verification {
  private static let configurations = [
    "config.json", LoRAConfiguration.fileName, "tokenizer_config.json", "processor_config.json",
    "preprocessor_config.json",
  ]
  /// Bytes of a description whose tree is made: as many as of a configuration's file.
  private static let longestDescription = 4 << 20

  /// Names what configurations would have other programs run: nothing here runs it, and nothing can tell what it does.
  mutating func noteCode(of checkpoint: OpenedCheckpoint) {
    var descriptions = Self.configurations.map { name in
      (name: name, json: try? checkpoint.json(ifPresent: name))
    }
    let legacy = KerasKey.modelConfiguration
    if let text = checkpoint.reader.metadataText(legacy) {
      if text.utf8.count <= Self.longestDescription {
        let json = try? JSONValue.parse(Array(text.utf8), file: legacy)
        descriptions.append((name: legacy, json: json))
      } else {
        omissions.append("\(legacy) is too long to be looked through for code")
      }
    }
    for (name, json) in descriptions {
      for code in json?.code ?? [] {
        omissions.append("\(code) in \(name): other programs may run code by it")
      }
    }
    let modules = StaticModules.fileName
    let classes = (try? checkpoint.json(ifPresent: modules))?.foreignClasses ?? []
    if !classes.isEmpty {
      omissions.append("\(classes.listed) in \(modules): other programs may run code by it")
    }
  }
}

extension JSONValue {
  /// By what transformers, PEFT and Keras find code to run: classes of a model's own, and functions in layers.
  fileprivate var code: [String] {
    var found = ["auto_map", "auto_mapping"].filter { self[$0]?.isNull == false }
    if self["trust_remote_code"]?.bool == true { found.append("trust_remote_code") }
    if hasLambda { found.append("a layer of class Lambda") }
    return found
  }

  /// The classes that sentence-transformers' list of modules names outside that library, which finds them in files beside the model.
  fileprivate var foreignClasses: [String] {
    (array ?? []).compactMap { $0["type"]?.string }
      .filter { !$0.hasPrefix("sentence_transformers.") }
  }

  /// Whether a description of Keras has a layer that holds a function.
  private var hasLambda: Bool {
    if let object {
      return object["class_name"] == "Lambda" || object["class_name"] == "__lambda__"
        || object.members.contains { $0.value.hasLambda }
    }
    return array?.contains { $0.hasLambda } ?? false
  }
}
