internal import GraftCore

/// A group with attributes that Keras gives to groups.
struct KerasGroup {
  /// The links that lead to it.
  private(set) var links: [[UInt8]]
  /// Keras 3: the layer's name, at the group of its variables.
  private(set) var name: String?
  /// Legacy: the layers of the model in order.
  private(set) var layerNames: [[UInt8]]?
  /// Legacy: the weights of a layer in order, as paths below its group.
  private(set) var weightNames: [[UInt8]]?

  /// Understands the attributes of a group; nil when it has none of Keras's.
  ///
  /// - Throws: ``StorageError`` when attributes can't be read.
  init?(
    _ attributes: [Attribute], _ links: [[UInt8]], _ heaps: GlobalHeap
  ) throws(StorageError) {
    self.links = links
    layerNames = try Self.list("layer_names", attributes, heaps)
    weightNames = try Self.list("weight_names", attributes, heaps)
    if links.last == KerasPath.variables,
      let attribute = attributes.first(where: { $0.name == Array("name".utf8) })
    {
      name = try attribute.text(heaps)
    }
    guard name != nil || layerNames != nil || weightNames != nil else { return nil }
  }

  /// A group like this one at other links.
  func moved(to links: [[UInt8]]) -> KerasGroup {
    var moved = self
    moved.links = links
    return moved
  }

  /// Whether Keras, or Graft writing its files, gives an attribute to a group at links.
  static func isUsual(_ attribute: Attribute, at links: [[UInt8]], isLegacy: Bool) -> Bool {
    guard isLegacy else { return links.last == KerasPath.variables && attribute.isNamed("name") }
    return isList(attribute.name)
      || !links.isEmpty && [KerasKey.version, "backend"].contains(where: attribute.isNamed)
  }

  /// Whether an attribute's name is one of those that hold Keras's lists, or a part of one.
  static func isList(_ name: [UInt8]) -> Bool {
    let isDigit = { (byte: UInt8) in (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
    return ["weight_names", "layer_names"].contains { stem in
      name.starts(with: stem.utf8) && name.dropFirst(stem.utf8.count).allSatisfy(isDigit)
    }
  }

  /// Whether metadata of a name would be taken for one of Keras's lists.
  static func isList(_ name: String) -> Bool {
    ["layer_names", "layer_names0", "weight_names", "weight_names0"].contains(name)
  }

  /// A list of names in one attribute, or in several with numbers behind the name where one would be too long.
  private static func list(
    _ name: String, _ attributes: [Attribute], _ heaps: GlobalHeap
  ) throws(StorageError) -> [[UInt8]]? {
    guard attributes.contains(where: { $0.name.starts(with: name.utf8) }) else { return nil }
    let byName = Dictionary(
      attributes.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    // An empty list is one of numbers, which numpy makes of nothing.
    if let whole = byName[Array(name.utf8)] { return try whole.texts(heaps) ?? [] }
    var result: [[UInt8]] = []
    var parts = 0
    while let part = byName[Array("\(name)\(parts)".utf8)] {
      result += try part.texts(heaps) ?? []
      parts += 1
    }
    return parts > 0 ? result : nil
  }
}
