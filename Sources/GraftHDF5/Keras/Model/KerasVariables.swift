package import GraftCore

/// The variables that a model's configuration leads to expect in a file of Keras 3.
package struct KerasVariables: Sendable {
  /// The variables of layers whose classes are known.
  package private(set) var names: [TensorName] = []
  /// The groups of all layers that the configuration lists.
  private var groups: Set<[[UInt8]]> = []

  init(of root: KerasLayer) { add(root, at: []) }

  private mutating func add(_ layer: KerasLayer, at links: [String]) {
    let group = links.map { Array($0.utf8) }
    groups.insert(group)
    for number in (layer.variables ?? []).indices {
      names.append(KerasPath.name(links: group + [Array("vars".utf8), Array("\(number)".utf8)]))
    }
    for part in layer.parts { add(part.layer, at: links + part.links) }
  }

  /// Whether a tensor belongs to the model, one of its layers, or its optimizer.
  package func hasLayer(of name: TensorName) -> Bool {
    guard var links = KerasPath.links(name)?.dropLast(2) else { return false }
    if links.count < 2 { return links.isEmpty || links.first == Array("optimizer".utf8) }
    // What stands inside layers of unknown classes is their business.
    while links.count > 1 {
      if groups.contains(Array(links)) { return true }
      links = links.dropLast()
    }
    return false
  }
}

extension KerasModel {
  /// The variables that the configuration leads to expect; nil where it doesn't list the layers.
  package var variables: KerasVariables? { root.map { KerasVariables(of: $0) } }
}
