internal import GraftCore

/// A layer as a configuration describes it, with the layers inside.
package struct KerasLayer: Sendable {
  let className: String
  let name: String
  /// Whether the configuration leaves the layer to training.
  let isTrained: Bool
  /// Whether the layer is a model of layers that are named by themselves.
  let isModel: Bool
  /// The layers inside, in the order in which Keras counts their weights.
  let parts: [Part]
  /// The layer's own variables in Keras's order; nil for a class that isn't known.
  let variables: [Variable]?
  /// Where each name is first among the layers inside.
  private let places: [String: Int]

  /// A layer inside another one.
  struct Part: Sendable {
    /// The links of Keras 3's file from the outer layer's group to this one's.
    let links: [String]
    let layer: KerasLayer
  }

  /// A variable of a layer.
  struct Variable: Sendable {
    let name: String
    var isTrained = true
  }

  /// Describes a layer; nil where the description is none, or of a class with a name too long to be one.
  ///
  /// - Parameter name: The name, where the layer outside decides it.
  init?(_ description: JSONValue, named name: String?) {
    guard let className = description["class_name"]?.string,
      className.utf8.count <= Self.classNameBytes, let configuration = description["config"]
    else { return nil }
    self.init(
      className,
      name: name ?? configuration["name"]?.string ?? description["name"]?.string
        ?? Self.snakeCase(className), configuration)
  }

  private init(_ className: String, name: String, _ configuration: JSONValue) {
    self.className = className
    self.name = name
    isTrained = configuration["trainable"]?.bool ?? true
    // Sequential models were a bare list once.
    let layers = configuration["layers"]?.array ?? configuration.array
    isModel = layers != nil
    parts =
      layers.map { Self.numbered(Self.layers($0, of: className), below: "layers") }
      ?? Self.parts(of: className, name: name, configuration)
    variables = layers == nil ? Self.variables(of: className, configuration) : []
    places = Dictionary(
      parts.enumerated().map { ($1.layer.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  // MARK: - Layers inside

  /// The layers that Keras counts among a model's.
  private static func layers(_ descriptions: [JSONValue], of className: String) -> [KerasLayer] {
    descriptions.compactMap { description in
      let isOperation = description["module"]?.string?.hasPrefix("keras.src.ops") ?? false
      // A sequential model shows its input only in its configuration.
      let isHidden =
        className == "Sequential" && description["class_name"]?.string == "InputLayer"
      return isOperation || isHidden ? nil : KerasLayer(description, named: nil)
    }
  }

  /// Layers in a list, which Keras 3 calls by their classes and counts.
  private static func numbered(_ layers: [KerasLayer], below link: String) -> [Part] {
    var counts: [String: Int] = [:]
    return layers.map { layer in
      let kind = snakeCase(layer.className)
      let count = counts[kind, default: 0]
      counts[kind] = count + 1
      return Part(links: [link, count == 0 ? kind : "\(kind)_\(count)"], layer: layer)
    }
  }

  /// What the classes of Keras that hold layers call them.
  private static func parts(
    of className: String, name: String, _ configuration: JSONValue
  ) -> [Part] {
    func part(_ link: String, _ key: String, named name: String? = nil) -> Part? {
      configuration[key].flatMap { KerasLayer($0, named: name) }.map {
        Part(links: [link], layer: $0)
      }
    }
    switch className {
    case "MultiHeadAttention", "GroupQueryAttention":
      let usesBias = configuration["use_bias"] ?? true
      return [
        ("query_dense", "query"), ("key_dense", "key"), ("value_dense", "value"),
        ("output_dense", "attention_output"),
      ].map { link, name in
        Part(
          links: [link], layer: KerasLayer("EinsumDense", name: name, ["bias_axes": usesBias]))
      }
    case "LSTM", "GRU", "SimpleRNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D":
      let cell = className + "Cell"
      return [
        Part(
          links: ["cell"],
          layer: KerasLayer(
            cell, name: snakeCase(cell), ["use_bias": configuration["use_bias"] ?? true]))
      ]
    case "RNN": return [part("cell", "cell")].compactMap(\.self)
    case "StackedRNNCells":
      let cells = (configuration["cells"]?.array ?? []).compactMap { KerasLayer($0, named: nil) }
      return numbered(cells, below: "cells")
    // A wrapper of another class may count a variable of the layer inside among its own.
    case "TimeDistributed":
      return [part("layer", "layer")].compactMap(\.self)
    case "Bidirectional":
      let inner = configuration["layer"]?["config"]?["name"]?.string ?? "layer"
      let stem = inner.hasPrefix("forward_") ? String(inner.dropFirst(8)) : inner
      let key = configuration["backward_layer"]?.object == nil ? "layer" : "backward_layer"
      return [
        part("forward_layer", "layer", named: "forward_" + stem),
        part("backward_layer", key, named: "backward_" + stem),
      ].compactMap(\.self)
    default: return []
    }
  }

  // MARK: - Names

  /// The layer inside that has a name, the first one of those that do.
  func part(named name: String) -> Part? { places[name].map { parts[$0] } }

  /// The links to the group of the layer that a weight of the legacy layout belongs to; nil where its path leads nowhere.
  ///
  /// - Parameter path: the weight's name, split at slashes.
  func links(toOwnerOf path: [String]) -> [String]? {
    let scopes = path.dropLast()
    // What stands before the layer's own name are models around it.
    guard let place = scopes.firstIndex(of: name) else {
      return parts.isEmpty ? [] : links(scopes)
    }
    return links(scopes[(place + 1)...])
  }

  private func links(_ scopes: ArraySlice<String>) -> [String]? {
    guard let next = scopes.first else { return [] }
    if let part = parts.count == 1 && !isModel ? parts.first : part(named: next) {
      return part.layer.links(scopes.dropFirst()).map { part.links + $0 }
    }
    // Names of layers aren't preceded by those of the models inside which they stand.
    for part in parts where isModel && part.layer.isModel {
      if let inner = part.layer.links(scopes) { return part.links + inner }
    }
    return nil
  }

  /// Whether every layer inside has a name of its own among those that may be named without what is around them.
  var hasDistinctNames: Bool {
    var names: Set<String> = []
    return hasDistinctNames(besides: &names)
  }

  private func hasDistinctNames(besides names: inout Set<String>) -> Bool {
    parts.allSatisfy { part in
      guard names.insert(part.layer.name).inserted else { return false }
      return part.layer.isModel
        ? part.layer.hasDistinctNames(besides: &names) : part.layer.hasDistinctNames
    }
  }

  /// What precedes the names of the weights of a layer inside; the layers of a functional model were made outside of it.
  func scope(of inner: KerasLayer, in scope: [String]) -> [String] {
    (isModel && className != "Sequential" ? [] : scope) + [inner.name]
  }

  /// The bytes that a class's name may have; Keras's have a few dozen.
  static let classNameBytes = 1_000

  /// A class's name as Keras spells it in paths: a word begins at a capital behind a small letter, or before one.
  static func snakeCase(_ className: String) -> String {
    let letters = Array(className.filter { $0.isLetter || $0.isNumber || $0 == "_" }.utf8)
    let capitals = UInt8(ascii: "A")...UInt8(ascii: "Z")
    let smalls = UInt8(ascii: "a")...UInt8(ascii: "z")
    var result: [UInt8] = []
    for (place, letter) in letters.enumerated() {
      if place > 0, capitals.contains(letter) {
        let isBehindSmall = smalls.contains(letters[place - 1])
        let isBeforeSmall = place + 1 < letters.count && smalls.contains(letters[place + 1])
        if isBehindSmall || isBeforeSmall { result.append(UInt8(ascii: "_")) }
      }
      result.append(letter)
    }
    return String(decoding: result, as: UTF8.self).lowercased()
  }
}
