internal import GraftAdapters
internal import GraftCore
internal import GraftHDF5

extension Verification {
  /// Names what configurations would have other programs run: nothing here runs it, and nothing can tell what it does.
  mutating func noteCode(of checkpoint: OpenedCheckpoint) {
    var descriptions = ["config.json", LoRAConfiguration.fileName].map { name in
      (name: name, json: try? checkpoint.json(ifPresent: name))
    }
    // Keras's legacy layout.
    let legacy = KerasKey.modelConfiguration
    descriptions.append(
      (
        name: legacy,
        json: checkpoint.reader.metadataText(legacy).flatMap {
          try? JSONValue.parse(Array($0.utf8), file: legacy)
        }
      ))
    for (name, json) in descriptions {
      for code in json?.code ?? [] {
        omissions.append("\(code) in \(name): other programs may run code by it")
      }
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

  /// Whether a description of Keras has a layer that holds a function.
  private var hasLambda: Bool {
    if let object {
      return object["class_name"] == "Lambda" || object["class_name"] == "__lambda__"
        || object.members.contains { $0.value.hasLambda }
    }
    return array?.contains { $0.hasLambda } ?? false
  }
}
