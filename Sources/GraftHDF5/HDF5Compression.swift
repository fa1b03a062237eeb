/// How the writer stores tensors and attached files.
public enum HDF5Compression: Sendable, Equatable {
  /// As they are, each in one piece that can be mapped.
  case none
  /// In shuffled chunks through zstd (registered filter 32015), at a level from 1 to 22.
  case zstd(level: Int = 3)
}

/// The names that the layout reserves; no tensor can have them, for their first component is empty.
enum Reserved {
  static let files = ".files"
  static let shards = ".shards"
  static let metadata = ".metadata"
  static let vocabularyBytes = ".vocabulary/bytes"
  static let vocabularyEnds = ".vocabulary/ends"
  /// What the names of the layout's own attributes begin with.
  static let prefix = "graft."
  /// The attribute of the root that says the file follows the layout, with its version.
  static let version = "graft.version"
  /// The attribute that numbers the tensors.
  static let index = "graft.index"
  /// The attribute with a shape that the dataset can't have itself.
  static let shape = "graft.shape"
  /// The attribute with the name of a tensor that has another place in a Keras file.
  static let name = "graft.name"
}
