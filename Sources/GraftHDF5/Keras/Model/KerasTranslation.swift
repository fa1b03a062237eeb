package import GraftCore

/// The tensors of a Keras file under the names and in the order of another of Keras's layouts.
///
/// Keras 3 numbers the variables of every layer; the legacy layout lists the weights of each layer of the model, trained ones first.
/// The model's configuration tells which is which, as far as the classes of its layers are known.
package struct KerasTranslation: Sendable {
  /// The place of each tensor in the source, and its new name.
  package private(set) var tensors: [(place: Int, name: TensorName)] = []
  /// What the new file keeps beside the tensors.
  package private(set) var metadata: [MetadataEntry] = []

  private static let optimizer = "optimizer"
  private static let variables = "vars"

  // MARK: - From Keras 3 to a legacy file of a whole model

  /// Finds the places of Keras 3's variables in the legacy layout.
  ///
  /// - Throws: ``StorageError/Reason/notRepresentable(what:inFormat:)`` for layers whose order only Keras knows.
  package init(
    toLegacy model: KerasModel, _ source: [TensorInfo], _ metadata: [MetadataEntry],
    file: String
  ) throws(StorageError) {
    guard let root = model.root else { throw Self.unlisted(model, .legacyModel, file) }
    var groups = VariableGroups(source.map(\.name))
    var lists = WeightLists()
    var names: Set<String> = [
      Self.text(KerasContents.topLevelWeights), Self.text(KerasContents.optimizerWeights),
    ]
    for part in root.parts {
      let layer = part.layer
      // A group is found by its name alone.
      guard names.insert(layer.name).inserted, !layer.name.isEmpty, layer.name != ".",
        !layer.name.utf8.contains(UInt8(ascii: "/"))
      else {
        throw StorageError(
          .notRepresentable(
            what: "the layer \(layer.name), for its name is taken or none for a group",
            inFormat: KerasLayout.legacyModel.words),
          file: file, remedy: "give every layer of the model a name of its own, without slashes")
      }
      let weights = try Self.weights(of: part, in: root, &groups, file)
      lists.append(layer.name, weights.map(\.path))
      for (weight, name) in zip(weights, lists.names[layer.name] ?? []) {
        add(weight.place, [KerasContents.modelWeights] + Self.links(layer.name) + Self.links(name))
      }
    }
    let top = groups.take([]).enumerated().map { (place: $1, name: Self.variable($0)) }
    lists.append(Self.text(KerasContents.topLevelWeights), top.map { [$0.name] })
    for (place, name) in top {
      add(place, [KerasContents.modelWeights, KerasContents.topLevelWeights, Array(name.utf8)])
    }
    let state = groups.take([Self.optimizer])
    if !state.isEmpty {
      let paths = state.indices.map { [model.optimizerName, Self.variable($0)] }
      let group = Self.text(KerasContents.optimizerWeights)
      lists.append(group, paths)
      for (place, name) in zip(state, lists.names[group] ?? []) {
        add(place, [KerasContents.optimizerWeights] + Self.links(name))
      }
    }
    if let place = groups.rest.min() {
      throw StorageError(
        .notRepresentable(what: "a weight of a layer that isn't known", inFormat: "Keras"),
        file: file, tensor: source[place].name, remedy: Self.remedy)
    }
    self.metadata =
      Self.kept(metadata) + model.legacyMetadata
      + [
        MetadataEntry(key: KerasKey.layout, value: KerasLayout.legacyModel.rawValue),
        MetadataEntry(
          key: KerasKey.layerNames,
          value: JSONValue.array(
            root.parts.map { .string($0.layer.name) }
          ).serialized(indent: nil)),
        MetadataEntry(
          key: KerasKey.weightNames, value: lists.json.serialized(indent: nil)),
      ]
  }

  /// A weight of a layer on its way into the list.
  private struct Weight {
    let place: Int
    let path: [String]
    let isTrained: Bool
  }

  /// The weights of a layer of the model as Keras lists them: those that are trained first.
  private static func weights(
    of part: KerasLayer.Part, in root: KerasLayer, _ groups: inout VariableGroups, _ file: String
  ) throws(StorageError) -> [Weight] {
    let weights = try weights(
      of: part.layer, at: part.links, scope: root.scope(of: part.layer, in: [root.name]),
      isInside: false, isFrozen: false, &groups, file)
    guard part.layer.isTrained else { return weights }
    return weights.filter(\.isTrained) + weights.filter { !$0.isTrained }
  }

  /// The weights of a layer as Keras counts them: its own, then those of the layers inside.
  private static func weights(
    of layer: KerasLayer, at links: [String], scope: [String], isInside: Bool, isFrozen: Bool,
    _ groups: inout VariableGroups, _ file: String
  ) throws(StorageError) -> [Weight] {
    let own = groups.take(links)
    let isFrozen = isFrozen || !layer.isTrained
    let known = layer.variables.flatMap { $0.count == own.count ? $0 : nil }
    // Alone, a layer keeps its own order in both layouts; among others it matters which weights are trained.
    guard known != nil || own.isEmpty || isFrozen || !isInside && layer.parts.isEmpty else {
      throw StorageError(
        .notRepresentable(
          what: "the layer \(layer.name) of class \(layer.className)", inFormat: "Keras"),
        file: file, remedy: remedy)
    }
    var weights = own.enumerated().map { number, place in
      Weight(
        place: place, path: scope + [known?[number].name ?? variable(number)],
        isTrained: !isFrozen && known?[number].isTrained ?? true)
    }
    for part in layer.parts {
      let inner = layer.scope(of: part.layer, in: scope)
      weights += try Self.weights(
        of: part.layer, at: links + part.links, scope: inner, isInside: true, isFrozen: isFrozen,
        &groups, file)
    }
    return weights
  }

  /// What a variable without a known name is called.
  private static func variable(_ number: Int) -> String {
    number == 0 ? "variable" : "variable_\(number)"
  }

  // MARK: - From a legacy file of a whole model to Keras 3

  /// Finds the places of a legacy file's weights in Keras 3's layout.
  ///
  /// - Throws: ``StorageError/Reason/notRepresentable(what:inFormat:)`` for layers whose parts only Keras knows.
  package init(
    toWeights model: KerasModel, _ source: [TensorInfo], _ metadata: [MetadataEntry],
    file: String
  ) throws(StorageError) {
    guard let root = model.root, let lists = KerasLists(metadata) else {
      throw Self.unlisted(model, .weights, file)
    }
    let places = Dictionary(
      source.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    var counts: [[String]: Int] = [:]
    let expected = KerasVariables(of: root).names
    var groups = VariableGroups(expected)
    for list in lists.weights {
      let group = Self.text(list.group)
      let isOptimizer = list.group == KerasContents.optimizerWeights
      let isTop = list.group == KerasContents.topLevelWeights
      let part = isOptimizer || isTop ? nil : root.part(named: group)
      // Keras goes by the order. Names tell where a layer's classes aren't all known.
      let known = part.flatMap { try? Self.weights(of: $0, in: root, &groups, file) }
      let ordered = known.flatMap { $0.count == list.names.count ? $0 : nil }
      let isClear = ordered == nil && part?.layer.hasDistinctNames ?? false
      for (position, name) in list.names.enumerated() {
        let stored =
          (isOptimizer ? [] : [KerasContents.modelWeights]) + KerasContents.components(list.group)
          + KerasContents.components(name)
        guard let place = places[KerasPath.name(links: stored)] else { continue }
        if let ordered {
          tensors.append((place, expected[ordered[position].place]))
          continue
        }
        var links: [String]?
        if isOptimizer {
          links = [Self.optimizer]
        } else if isTop {
          links = []
        } else if let part, isClear {
          links = part.layer.links(
            toOwnerOf: KerasContents.components(name).map(Self.text)
          ).map { part.links + $0 }
        }
        guard let links else {
          throw StorageError(
            .notRepresentable(
              what: part.map { "the layer \(group) of class \($0.layer.className)" }
                ?? "a weight of a layer that isn't known", inFormat: KerasLayout.weights.words),
            file: file, tensor: source[place].name, remedy: Self.remedy)
        }
        let number = counts[links, default: 0]
        counts[links] = number + 1
        add(place, (links + [Self.variables, "\(number)"]).map { Array($0.utf8) })
      }
    }
    guard tensors.count == source.count else {
      throw StorageError(
        .notRepresentable(what: "tensors that no list names", inFormat: KerasLayout.weights.words),
        file: file, remedy: Self.remedy)
    }
    var names: [(key: String, value: JSONValue)] = []
    Self.addNames(of: root, at: [], to: &names)
    if counts[[Self.optimizer]] != nil {
      names.append(("\(Self.optimizer)/\(Self.variables)", .string(model.optimizerName)))
    }
    self.metadata =
      Self.kept(metadata) + [
        MetadataEntry(key: KerasKey.layout, value: KerasLayout.weights.rawValue),
        MetadataEntry(
          key: KerasKey.names,
          value: JSONValue.object(JSONObject(members: names)).serialized(indent: nil)),
      ]
  }

  private static func addNames(
    of layer: KerasLayer, at links: [String], to names: inout [(key: String, value: JSONValue)]
  ) {
    names.append(((links + [variables]).joined(separator: "/"), .string(layer.name)))
    for part in layer.parts { addNames(of: part.layer, at: links + part.links, to: &names) }
  }

  // MARK: - Both

  private static let remedy = "load it in Keras and save it there: only Keras knows the layer"

  private mutating func add(_ place: Int, _ links: [[UInt8]]) {
    tensors.append((place, KerasPath.name(links: links)))
  }

  private static func links(_ path: String) -> [[UInt8]] {
    KerasContents.components(Array(path.utf8))
  }

  private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  /// What doesn't belong to a layout.
  private static func kept(_ metadata: [MetadataEntry]) -> [MetadataEntry] {
    let replaced = KerasKey.all.union([
      KerasKey.modelConfiguration, KerasKey.trainingConfiguration,
    ])
    return metadata.filter { !replaced.contains($0.key) }
  }

  private static func unlisted(
    _ model: KerasModel, _ layout: KerasLayout, _ file: String
  ) -> StorageError {
    StorageError(
      .notRepresentable(
        what: "a model of class \(model.className), whose layers aren't listed",
        inFormat: layout.words),
      file: file, remedy: "load it in Keras and save it there")
  }
}

/// The variables of a file of Keras 3 by the layer that they belong to.
private struct VariableGroups {
  private var groups: [[[UInt8]]: [Int]] = [:]
  /// What stands elsewhere.
  private var others: [Int] = []

  init(_ names: [TensorName]) {
    var numbered: [[[UInt8]]: [(number: Int, place: Int)]] = [:]
    for (place, name) in names.enumerated() {
      guard let links = KerasPath.links(name), KerasPath.isVariable(links),
        let number = links.last.flatMap(KerasPath.number)
      else {
        others.append(place)
        continue
      }
      numbered[Array(links.dropLast(2)), default: []].append((number, place))
    }
    for (links, members) in numbered {
      let members = members.sorted { $0.number < $1.number }
      // Other layouts don't have the numbers, so that Keras's own alone come back.
      if members.map(\.number) == Array(members.indices) {
        groups[links] = members.map(\.place)
      } else {
        others += members.map(\.place)
      }
    }
  }

  /// The variables of a layer by number, which are then gone.
  mutating func take(_ links: [String]) -> [Int] {
    groups.removeValue(forKey: links.map { Array($0.utf8) }) ?? []
  }

  /// What nobody took.
  var rest: [Int] { others + groups.values.flatMap { $0 } }
}

/// Lists of weights being made: every name once in its list.
private struct WeightLists {
  private(set) var names: [String: [String]] = [:]
  private var order: [String] = []

  mutating func append(_ group: String, _ paths: [[String]]) {
    var unique = UniqueNames()
    order.append(group)
    names[group] = paths.map { path in
      String(decoding: unique.take(Array(path.joined(separator: "/").utf8)), as: UTF8.self)
    }
  }

  var json: JSONValue {
    .object(
      JSONObject(
        members: order.map { group in
          (group, .array((names[group] ?? []).map { .string($0) }))
        }))
  }
}
