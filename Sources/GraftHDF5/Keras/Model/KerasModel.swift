package import GraftCore

/// A model as Keras describes it: `config.json` of Keras 3, or the attribute `model_config` of the legacy layout.
package struct KerasModel: Sendable {
  /// The class: Functional, Sequential, or one of the user's.
  package let className: String
  /// What stands in both descriptions alike.
  private let configuration: JSONValue
  /// How the model is trained, in Keras 3's words; nil where it isn't told.
  private let training: JSONValue?
  /// The members of a description of Keras 3 that its legacy layout has no place for.
  package private(set) var surplus: [String] = []

  /// The keys that every description has.
  package static let keys = ["class_name", "config"]

  /// What Keras finds by itself for a class of its own.
  private static let derived = ["module", "registered_name", "build_config"]

  /// Understands a description; nil where it is none of Keras's.
  package init?(_ description: JSONValue) {
    guard let className = description["class_name"]?.string,
      className.utf8.count <= KerasLayer.classNameBytes, let configuration = description["config"]
    else { return nil }
    self.className = className
    self.configuration = configuration
    training = description["compile_config"].flatMap { $0.object == nil ? nil : $0 }
    var held = Set(Self.keys)
    if legacyTraining != nil { held.insert("compile_config") }
    if module != nil { held.formUnion(Self.derived) }
    surplus = (description.object?.members ?? []).filter {
      !held.contains($0.key) && !$0.value.isNull
    }.map(\.key)
  }

  /// Understands what the legacy layout keeps as metadata; nil without a model.
  package init?(legacy metadata: [MetadataEntry]) {
    func json(_ key: String) -> JSONValue? {
      metadata.first { $0.key == key }.flatMap {
        try? JSONValue.parse(Array($0.value.utf8), file: key)
      }
    }
    guard let description = json(KerasKey.modelConfiguration),
      let className = description["class_name"]?.string,
      className.utf8.count <= KerasLayer.classNameBytes, let configuration = description["config"]
    else { return nil }
    self.className = className
    self.configuration = configuration
    training = json(KerasKey.trainingConfiguration).flatMap(Self.training)
  }

  /// The model as a layer with its layers; nil where the description doesn't list them.
  package var root: KerasLayer? {
    KerasLayer(["class_name": .string(className), "config": configuration], named: nil)
      .flatMap { $0.isModel ? $0 : nil }
  }

  /// The name of the optimizer, as Keras gives it by default.
  var optimizerName: String {
    training?["optimizer"]?["config"]?["name"]?.string ?? "optimizer"
  }

  // MARK: - Keras 3

  /// The module that Keras finds a class of models in; nil for a class of the user's.
  private var module: (name: String, registered: JSONValue)? {
    switch className {
    case "Functional": ("keras.src.models.functional", "Functional")
    case "Sequential", "Model": ("keras", nil)
    default: nil
    }
  }

  /// What `config.json` says of the model; nil where a class of the user's would have to be found.
  package var description: JSONValue? {
    guard let module else { return nil }
    return [
      "module": .string(module.name), "class_name": .string(className), "config": configuration,
      "registered_name": module.registered, "compile_config": training ?? .null,
    ]
  }

  /// Whether `config.json` says how the model is trained, without which Keras leaves an optimizer's state unread.
  package var tellsTraining: Bool { training != nil }

  /// Turns the legacy layout's words for training into Keras 3's; nil where objects don't say which module they are of.
  private static func training(_ legacy: JSONValue) -> JSONValue? {
    guard let members = legacy.object?.members,
      let optimizer = legacy["optimizer_config"], let name = optimizer["class_name"]?.string,
      let configuration = optimizer["config"]
    else { return nil }
    let others = members.filter { $0.key != "optimizer_config" }
    guard others.allSatisfy({ namesModules($0.value) }) else { return nil }
    let translated: JSONValue = [
      "module": "keras.optimizers",
      // Classes of the user's are registered as package>Name.
      "class_name": .string(name), "config": configuration, "registered_name": nil,
    ]
    guard !name.contains(">") else { return nil }
    return .object(JSONObject(members: [("optimizer", translated)] + others))
  }

  /// Whether every object inside a value says which module its class is of.
  private static func namesModules(_ value: JSONValue) -> Bool {
    switch value {
    case .array(let elements): elements.allSatisfy(namesModules)
    case .object(let object):
      (!object.keys.contains("class_name") || object.keys.contains("module"))
        && object.members.allSatisfy { namesModules($0.value) }
    case .null, .bool, .number, .string: true
    }
  }

  // MARK: - Legacy

  /// What the legacy layout of a whole model keeps in the attributes of its root.
  var legacyMetadata: [MetadataEntry] {
    let model: JSONValue = ["class_name": .string(className), "config": configuration]
    var entries = [
      MetadataEntry(key: KerasKey.modelConfiguration, value: model.serialized(indent: nil))
    ]
    if let legacyTraining {
      entries.append(
        MetadataEntry(
          key: KerasKey.trainingConfiguration, value: legacyTraining.serialized(indent: nil)))
    }
    return entries
  }

  /// How the model is trained, in the legacy layout's words; nil where no optimizer is described.
  private var legacyTraining: JSONValue? {
    guard let training, let members = training.object?.members,
      let optimizer = training["optimizer"], let name = optimizer["class_name"],
      let configuration = optimizer["config"]
    else { return nil }
    let translated: JSONValue = ["class_name": name, "config": configuration]
    let others = members.filter { $0.key != "optimizer" }
    return .object(JSONObject(members: others + [("optimizer_config", translated)]))
  }
}
