package import GraftCore

/// The members of a `.keras` archive.
package enum KerasMember {
  /// The model: its layers, and how it is trained.
  package static let configuration: TensorName = "config.json"
  /// The version of Keras.
  package static let metadata: TensorName = "metadata.json"
  /// The weights, an HDF5 file of ``KerasLayout/weights``.
  package static let weights: TensorName = "model.weights.h5"
  /// Where files of layers stand, such as vocabularies.
  package static let assets = "assets/"
  /// Weights in NumPy's form, which Keras could write once.
  static let arrays: TensorName = "model.weights.npz"

  /// Bytes of the configuration.
  static let configurationBytes = 16 << 20
  /// Bytes of the metadata.
  static let metadataBytes = 1 << 20
  /// Bytes that a deflated member may have whatever the size of the archive.
  static let inflatedBytes = 64 << 20
  /// Beyond that, bytes of a deflated member for each byte of the archive.
  static let expansion = 16

  /// Whether a file belongs into an archive.
  package static func isKnown(_ name: String) -> Bool {
    let name = TensorName(name)
    return [configuration, metadata, weights].contains(name) || name.hasPrefix(assets)
  }
}
