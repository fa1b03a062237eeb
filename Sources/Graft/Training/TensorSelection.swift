internal import GraftAdapters

/// Names that a user gives to choose tensors of a model: a whole path, or components that stand side by side in one.
///
/// `lm_head`, `model.layers.3`, `input_layernorm`, `mlp.up_proj.weight` and `bias` each choose what bears them. Where embedding and head
/// are one tensor, the names of both choose it.
struct TensorSelection {
  /// The tensors of the model, by each path that they answer to.
  private let paths: [(path: String, tensor: TensorName)]

  /// Takes the tensors of a model.
  ///
  /// - Parameter untiesHead: Whether an adapter gives the model a head of its own, though the base shares it.
  init(_ configuration: any DecoderConfiguration, untiesHead: Bool = false) {
    var paths = configuration.tensors.map { (path: $0.name.text, tensor: $0.name) }
    if configuration.tiesEmbeddings {
      let head = configuration.headName
      paths.append((head.text, untiesHead ? head : configuration.embeddingName))
    }
    self.paths = paths
  }

  /// All tensors.
  var all: [TensorName] {
    var seen: Set<TensorName> = []
    return paths.map(\.tensor).filter { seen.insert($0).inserted }
  }

  /// The tensors that names choose, in the order of the model.
  ///
  /// - Throws: ``AdapterError/Reason/targetNotFound(target:nearest:)`` for a name that chooses none.
  func tensors(named names: [String]) throws(AdapterError) -> [TensorName] {
    var chosen: Set<TensorName> = []
    for name in names {
      let found = paths.filter { isPath($0.path, through: name) }
      guard !found.isEmpty else { throw notFound(name) }
      chosen.formUnion(found.map(\.tensor))
    }
    return all.filter(chosen.contains)
  }

  private func notFound(_ name: String) -> AdapterError {
    let modules = paths.map { $0.path.split(separator: ".").dropLast().joined(separator: ".") }
    return AdapterError(
      .targetNotFound(
        target: name, nearest: nearestNames(to: name, among: modules + paths.map(\.path))))
  }
}

extension TensorName {
  /// The path of the module that a tensor belongs to.
  var modulePath: String {
    let text = text
    return text.lastIndex(of: ".").map { String(text[..<$0]) } ?? text
  }
}
