internal import GraftCore

/// What a file of Keras holds beside the tensors' bytes, and the order that Keras gives the tensors.
struct KerasContents {
  let layout: KerasLayout
  /// What a tensor file keeps of it, under ``KerasKey``.
  private(set) var metadata: [MetadataEntry] = []
  /// The tensors in Keras's order.
  private(set) var ordered: [TreeWalk.Found] = []

  static let modelWeights = Array("model_weights".utf8)
  static let topLevelWeights = Array("top_level_model_weights".utf8)
  static let optimizerWeights = Array(KerasKey.optimizerWeights.utf8)

  /// Whether the root, or the weights below it, name the layers of a model as the legacy layout does.
  static func isLegacy(
    _ root: GroupLinks, _ attributes: [Attribute], _ file: StructureFile
  ) throws(StorageError) -> Bool {
    func namesLayers(_ attributes: [Attribute]) -> Bool {
      attributes.contains {
        $0.name == Array("layer_names".utf8) || $0.name == Array("layer_names0".utf8)
      }
    }
    if namesLayers(attributes) { return true }
    guard let target = root.links.first(where: { $0.name == modelWeights })?.target else {
      return false
    }
    let group = try ObjectHeader(at: target, in: file)
    return try namesLayers(Attribute.all(of: group, in: file))
  }

  /// Understands a file; nil when it isn't Keras's.
  ///
  /// - Throws: ``StorageError`` when the lists of the legacy layout name something that isn't there.
  init?(
    _ found: [TreeWalk.Found], _ groups: [KerasGroup], isLegacy: Bool, _ file: StructureFile
  ) throws(StorageError) {
    if isLegacy, let layers = groups.first(where: { $0.layerNames != nil }) {
      layout = layers.links.isEmpty ? .legacyWeights : .legacyModel
      try readLegacy(found, groups, layers, file)
    } else if !found.isEmpty, found.allSatisfy({ KerasPath.isVariable($0.links) }) {
      layout = .weights
      ordered = Self.byNumber(found)
      let names = groups.compactMap { group in
        group.name.map { (key: Self.path(group.links), value: JSONValue.string($0)) }
      }
      metadata = [MetadataEntry(key: KerasKey.layout, value: layout.rawValue)]
      if !names.isEmpty {
        let object = JSONValue.object(JSONObject(members: names))
        metadata.append(
          MetadataEntry(key: KerasKey.names, value: object.serialized(indent: nil)))
      }
    } else {
      return nil
    }
  }

  static func path(_ links: [[UInt8]]) -> String {
    String(decoding: Array(links.joined(separator: [UInt8(ascii: "/")])), as: UTF8.self)
  }

  /// The variables of each layer by number, not by name: `10` comes after `2`.
  private static func byNumber(_ found: [TreeWalk.Found]) -> [TreeWalk.Found] {
    var result: [TreeWalk.Found] = []
    var start = 0
    while start < found.count {
      let parent = found[start].groups
      let end = found[start...].firstIndex { $0.groups != parent } ?? found.count
      // Those with names come last, as their links stand.
      let order = (start..<end).sorted {
        (KerasPath.number(found[$0].links) ?? .max, $0)
          < (KerasPath.number(found[$1].links) ?? .max, $1)
      }
      result += order.map { found[$0] }
      start = end
    }
    return result
  }

  // MARK: - Legacy

  private mutating func readLegacy(
    _ found: [TreeWalk.Found], _ groups: [KerasGroup], _ layers: KerasGroup, _ file: StructureFile
  ) throws(StorageError) {
    let byLinks = Dictionary(
      groups.map { ($0.links, $0) }, uniquingKeysWith: { first, _ in first })
    let places = Dictionary(
      found.indices.map { (found[$0].links, $0) }, uniquingKeysWith: { first, _ in first })
    var isTaken = [Bool](repeating: false, count: found.count)
    var lists: [(key: String, value: JSONValue)] = []
    func malformed(_ expected: String, _ found: String) -> StorageError {
      StorageError(
        .malformed(rule: "HDF5 H-26", expected: expected, found: found), file: file.path)
    }
    let layerNames = layers.layerNames ?? []
    var distinct = DistinctNames(reserving: layerNames.count)
    for name in layerNames.map({ TensorName(utf8: $0) }) where !distinct.insert(name) {
      throw .repeated(name, rule: "HDF5 H-26", file: file.path)
    }
    let named = layerNames.map { ($0, layers.links + Self.components($0), true) }
    let others = [
      (Self.topLevelWeights, layers.links + [Self.topLevelWeights], false),
      (Self.optimizerWeights, [Self.optimizerWeights], false),
    ]
    for (name, links, isRequired) in named + others {
      guard let weights = byLinks[links]?.weightNames else {
        guard !isRequired else {
          throw malformed("a group with weight_names for each layer", "none at \(Self.path(links))")
        }
        continue
      }
      for weight in weights {
        guard let place = places[links + Self.components(weight)] else {
          throw malformed(
            "a dataset for each weight", "none at \(Self.path(links + [weight]))")
        }
        guard !isTaken[place] else {
          throw .repeated(
            TensorName(Self.path(links + [weight])), rule: "HDF5 H-26", file: file.path)
        }
        isTaken[place] = true
        ordered.append(found[place])
      }
      lists.append(
        (
          String(decoding: name, as: UTF8.self),
          .array(weights.map { .string(String(decoding: $0, as: UTF8.self)) })
        ))
    }
    ordered += found.indices.filter { !isTaken[$0] }.map { found[$0] }
    let names = JSONValue.array(
      layerNames.map { .string(String(decoding: $0, as: UTF8.self)) })
    let table = JSONValue.object(JSONObject(members: lists))
    metadata = [
      MetadataEntry(key: KerasKey.layout, value: layout.rawValue),
      MetadataEntry(key: KerasKey.layerNames, value: names.serialized(indent: nil)),
      MetadataEntry(key: KerasKey.weightNames, value: table.serialized(indent: nil)),
    ]
  }

  /// The links that a name with slashes goes through, one by one.
  static func components(_ name: [UInt8]) -> [[UInt8]] {
    name.split(separator: UInt8(ascii: "/")).map(Array.init)
  }
}
