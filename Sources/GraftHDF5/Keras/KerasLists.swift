internal import GraftCore

/// The lists of the legacy layout: the layers in order, and the weights of each.
struct KerasLists {
  /// The layers of the model, in order.
  let layers: [[UInt8]]
  /// The weights of layers and other groups, as paths below the group.
  let weights: [(group: [UInt8], names: [[UInt8]])]
  /// The group and the name of each tensor, where the lists were made for tensors.
  private var places: [(group: [UInt8], name: [UInt8])] = []

  /// The bytes that a list may have in one attribute.
  private static let attributeBytes = 64_512
  /// The names that are compared one by one.
  private static let fewNames = 8
  private static let slash = UInt8(ascii: "/")

  /// The lists that metadata kept; nil without both of them.
  init?(_ layerNames: JSONValue?, _ weightNames: JSONValue?) {
    guard let layers = layerNames?.array, let table = weightNames?.object else { return nil }
    self.layers = layers.compactMap(\.string).map { Array($0.utf8) }
    weights = table.members.map { member in
      (
        Array(member.key.utf8),
        (member.value.array ?? []).compactMap(\.string).map { Array($0.utf8) }
      )
    }
  }

  /// The lists that the metadata of a tensor file kept.
  init?(_ metadata: [MetadataEntry]) {
    func json(_ key: String) -> JSONValue? {
      metadata.first { $0.key == key }.flatMap {
        try? JSONValue.parse(Array($0.value.utf8), file: key)
      }
    }
    self.init(json(KerasKey.layerNames), json(KerasKey.weightNames))
  }

  /// Lists for tensors that come from elsewhere: a layer for each module, in the order of the first tensor of each.
  ///
  /// A tensor outside of modules is one of the model itself.
  init(_ tensors: [TensorInfo]) {
    var order: [[UInt8]] = []
    var names: [[UInt8]: [[UInt8]]] = [:]
    // Some names differ only in what a path can't hold.
    var unique: [[UInt8]: UniqueNames] = [:]
    var last: [UInt8] = []
    // Few weights have a name of their own: those of one name share its bytes.
    var spellings: Set<[UInt8]> = []
    for tensor in tensors {
      let parts = tensor.name.utf8.split(
        separator: UInt8(ascii: "."), omittingEmptySubsequences: true
      ).map { part in part.map { $0 == Self.slash || $0 == 0 ? UInt8(ascii: "_") : $0 } }
      var group =
        parts.count > 1
        ? Array(parts.dropLast().joined(separator: [Self.slash])) : KerasContents.topLevelWeights
      // The layout's own groups are no layers.
      if parts.count > 1, Self.isOwn(group) { group.append(UInt8(ascii: "_")) }
      // The tensors of a module mostly follow each other: they share its name.
      if group == last { group = last } else { last = group }
      let spelling = spellings.insert(parts.last ?? Array("unnamed".utf8)).memberAfterInsert
      let name = Self.name(spelling, among: names[group] ?? [], &unique[group])
      if names[group] == nil, parts.count > 1 { order.append(group) }
      names[group, default: []].append(name)
      places.append((group, name))
    }
    layers = order
    weights = (order + [KerasContents.topLevelWeights]).map { ($0, names[$0] ?? []) }
  }

  /// The name of a weight that no other of its group has; a set of them is made only for groups of many, or of some that are alike.
  private static func name(
    _ spelling: [UInt8], among names: [[UInt8]], _ unique: inout UniqueNames?
  ) -> [UInt8] {
    if unique == nil {
      if names.count < fewNames, !names.contains(spelling) { return spelling }
      unique = UniqueNames(names)
    }
    return unique?.take(spelling) ?? spelling
  }

  /// The place of a tensor that the lists were made for.
  func place(of tensor: Int, below base: LinkPath) -> PlannedPlace {
    PlannedPlace(base: base, group: places[tensor].group, link: places[tensor].name)
  }

  /// The place of a group of weights: the optimizer's isn't among those of the model.
  static func place(of group: [UInt8], below base: LinkPath) -> PlannedPlace {
    PlannedPlace(
      base: group == KerasContents.optimizerWeights ? LinkPath() : base, group: group)
  }

  /// Whether a group is one of those that the layout has beside the layers'.
  private static func isOwn(_ group: [UInt8]) -> Bool {
    group == KerasContents.topLevelWeights || group == KerasContents.optimizerWeights
  }

  /// Checks that every layer is listed once with its weights, and that every weight is there, once.
  func check(
    _ paths: [LinkPath], base: LinkPath, _ status: HDF5Status
  ) throws(StorageError) {
    func mismatch(_ subject: String, _ name: [UInt8], _ found: String) -> StorageError {
      StorageError(
        .mismatch(
          subject: subject, expected: String(decoding: name, as: UTF8.self), found: found),
        file: status.file,
        remedy:
          "the metadata \(KerasKey.layerNames) or \(KerasKey.weightNames) isn't that of these tensors"
      )
    }
    var present = Set(paths)
    var groups: Set<LinkPath> = []
    for list in weights {
      let group = Self.place(of: list.group, below: base).path
      guard group != base, !group.links.contains(where: { $0.elementsEqual(".".utf8) }),
        groups.insert(group).inserted
      else { throw mismatch("the lists of weights", list.group, "no group of its own") }
      for name in list.names {
        var path = group
        path.append(each: name)
        guard present.remove(path) != nil else {
          throw mismatch(
            "the list of weights", name, "no such tensor, or one that was listed before")
        }
      }
    }
    var layers: Set<LinkPath> = []
    for layer in self.layers {
      var group = base
      group.append(each: layer)
      guard layers.insert(group).inserted, groups.contains(group) else {
        throw mismatch("the list of layers", layer, "no list of its weights, or the layer twice")
      }
    }
  }

  /// A list as an attribute, or as several with numbers where it is too long for one.
  static func attributes(
    _ name: String, _ texts: [[UInt8]]
  ) -> [PlannedAttribute] {
    let width = max(1, texts.map(\.count).max() ?? 0)
    let perAttribute = max(1, attributeBytes / width)
    guard texts.count > perAttribute else {
      return [PlannedAttribute(name: name, value: .texts(texts))]
    }
    return stride(from: 0, to: texts.count, by: perAttribute).enumerated().map { part, start in
      let end = min(start + perAttribute, texts.count)
      return PlannedAttribute(name: "\(name)\(part)", value: .texts(Array(texts[start..<end])))
    }
  }
}
