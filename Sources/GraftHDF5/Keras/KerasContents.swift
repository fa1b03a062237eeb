internal import GraftCore

/// What a file of Keras holds beside the tensors' bytes, and the order that Keras gives the tensors.
struct KerasContents {
  let layout: KerasLayout
  /// What a tensor file keeps of it, under ``KerasKey``.
  private(set) var metadata: [MetadataEntry] = []
  /// The places of the tensors among what was found, in Keras's order.
  private(set) var order: [Int] = []

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
    } else if !found.isEmpty, found.allSatisfy({ KerasPath.holdsVariables($0.groups) }) {
      layout = .weights
      order = Self.byNumber(found)
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
  private static func byNumber(_ found: [TreeWalk.Found]) -> [Int] {
    var result: [Int] = []
    result.reserveCapacity(found.count)
    var start = 0
    while start < found.count {
      let parent = found[start].groups
      let end = found[start...].firstIndex { $0.groups != parent } ?? found.count
      // Those with names come last, as their links stand.
      let numbers = found[start..<end].map { KerasPath.number($0.link) ?? .max }
      let isRising = zip(numbers, numbers.dropFirst()).allSatisfy { $0 <= $1 }
      if isRising {
        result += start..<end
      } else {
        let order = numbers.indices.sorted { (numbers[$0], $0) < (numbers[$1], $1) }
        result += order.map { start + $0 }
      }
      start = end
    }
    return result
  }

  // MARK: - Legacy

  private mutating func readLegacy(
    _ found: [TreeWalk.Found], _ groups: [KerasGroup], _ layers: KerasGroup, _ file: StructureFile
  ) throws(StorageError) {
    var groupFinder = PathFinder(groups)
    var finder = PathFinder(found)
    var isTaken = [Bool](repeating: false, count: found.count)
    // A list of 100,000 names goes straight into its text.
    var lists = JSONWriter(indent: nil)
    lists.open(.object)
    func malformed(_ expected: String, _ found: String) -> StorageError {
      StorageError(
        .malformed(rule: "HDF5 H-26", expected: expected, found: found), file: file.path)
    }
    let layerNames = layers.layerNames ?? []
    var distinct = DistinctNames(reserving: layerNames.count)
    for name in layerNames.map({ TensorName(utf8: $0) }) where !distinct.insert(name) {
      throw .repeated(name, rule: "HDF5 H-26", file: file.path)
    }
    let base = LinkPath(layers.links)
    var path = base
    let others = [Self.topLevelWeights, Self.optimizerWeights]
    for (number, name) in (layerNames + others).enumerated() {
      let isOptimizer = number == layerNames.count + 1
      path.cut(to: isOptimizer ? 0 : base.bytes.count)
      path.append(each: name)
      let group = groupFinder.position(of: path)
      guard let weights = group.flatMap({ groups[$0].weightNames }) else {
        guard number >= layerNames.count else {
          throw malformed("a group with weight_names for each layer", "none at \(path)")
        }
        continue
      }
      let groupBytes = path.bytes.count
      lists.key(String(decoding: name, as: UTF8.self))
      lists.open(.array)
      for weight in weights {
        path.cut(to: groupBytes)
        path.append(each: weight)
        guard let place = finder.position(of: path) else {
          throw malformed("a dataset for each weight", "none at \(path)")
        }
        guard !isTaken[place] else {
          throw .repeated(TensorName("\(path)"), rule: "HDF5 H-26", file: file.path)
        }
        isTaken[place] = true
        order.append(place)
        lists.value(.string(String(decoding: weight, as: UTF8.self)))
      }
      lists.close()
    }
    lists.close()
    order += found.indices.filter { !isTaken[$0] }
    var names = JSONWriter(indent: nil)
    names.open(.array)
    for name in layerNames { names.value(.string(String(decoding: name, as: UTF8.self))) }
    names.close()
    metadata = [
      MetadataEntry(key: KerasKey.layout, value: layout.rawValue),
      MetadataEntry(key: KerasKey.layerNames, value: String(decoding: names.bytes, as: UTF8.self)),
      MetadataEntry(
        key: KerasKey.weightNames, value: String(decoding: lists.bytes, as: UTF8.self)),
    ]
  }

  /// The links that a name with slashes goes through, one by one.
  static func components(_ name: [UInt8]) -> [[UInt8]] {
    name.split(separator: UInt8(ascii: "/")).map(Array.init)
  }
}
