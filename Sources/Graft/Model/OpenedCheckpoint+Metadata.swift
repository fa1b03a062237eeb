internal import GraftCore
internal import GraftFormats

extension OpenedCheckpoint {
  /// The metadata that somebody wrote, for results that have metadata too.
  ///
  /// Of a table of words, and of NumPy's archives, readers show as metadata what isn't any: the format, and members that aren't arrays.
  var ownMetadata: [MetadataEntry] {
    reader is EmbeddingCheckpoint || reader is NumPyReader ? [] : reader.metadata
  }
}
