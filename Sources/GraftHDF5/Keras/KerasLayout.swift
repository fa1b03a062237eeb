package import GraftCore

/// A way in which Keras lays out weights in HDF5.
public enum KerasLayout: String, Sendable, CaseIterable {
  /// Keras 3's `.weights.h5`: a group for each layer, with its variables by number.
  case weights = "weights"
  /// The legacy file of a whole model: its configuration, and the weights below `model_weights`.
  case legacyModel = "legacy-model"
  /// The legacy file of weights only.
  case legacyWeights = "legacy-weights"
}

extension KerasLayout {
  /// The layout that a checkpoint's tensors have by their metadata, or else by their names; nil for those that aren't Keras's.
  package init?(of tensors: [TensorInfo], _ metadata: [MetadataEntry]) {
    if let entry = metadata.first(where: { $0.key == KerasKey.layout }) {
      self.init(rawValue: entry.value)
    } else if !tensors.isEmpty,
      tensors.allSatisfy({ KerasPath.links($0.name).map(KerasPath.isVariable) ?? false })
    {
      self = .weights
    } else {
      return nil
    }
  }

  /// The layout in words, for messages.
  public var words: String {
    switch self {
    case .weights: "the layout of Keras 3"
    case .legacyModel: "Keras's legacy layout of a whole model"
    case .legacyWeights: "Keras's legacy layout of weights"
    }
  }
}

/// The keys under which the metadata of a tensor file keeps what Keras stores beside tensors.
package enum KerasKey {
  /// The layout, a ``KerasLayout``.
  package static let layout = "keras.layout"
  /// The names of layers by the group of their variables, as a JSON object.
  static let names = "keras.names"
  /// The legacy layout's layers in order, as a JSON array.
  static let layerNames = "keras.layer_names"
  /// The legacy layout's weights by layer, as a JSON object of arrays.
  static let weightNames = "keras.weight_names"

  /// The legacy layout's description of the model, an attribute of its root.
  package static let modelConfiguration = "model_config"
  /// How the model is trained, likewise.
  package static let trainingConfiguration = "training_config"
  /// What the legacy layout keeps of a model in the attributes of its root.
  package static let describing = [modelConfiguration, trainingConfiguration]
  /// The version of Keras, likewise and in `metadata.json` of an archive.
  package static let version = "keras_version"
  /// The legacy layout's group of the optimizer's state.
  package static let optimizerWeights = "optimizer_weights"

  /// Those that a file has in another form.
  package static let all: Set<String> = [layout, names, layerNames, weightNames]

  /// Whether metadata can be an attribute of a file of Keras, which takes some names for lists of its own.
  package static func canHold(_ entry: MetadataEntry) -> Bool {
    if all.contains(entry.key) { return true }
    return !KerasGroup.isList(entry.key)
      && (1...HDF5Limits.nameBytes).contains(entry.key.utf8.count)
      && !entry.key.utf8.contains(0) && !entry.value.utf8.contains(0)
  }
}
