/// What a file may ask for at most; a hostile number meets one of these first.
enum HDF5Limits {
  /// Groups inside groups.
  static let depth = 64
  /// Groups, datasets and links altogether.
  static let objects = 4_000_000
  /// Bytes of the name of one link.
  static let nameBytes = 65_535
  /// Bytes of a chunk, decoded.
  static let chunkBytes = 256 << 20
  /// Filters of one dataset.
  static let filters = 8
  /// The declared bytes above which a dataset is compared with the size of the file.
  static let sparseBytes = 1 << 30
  /// How many bytes such a dataset may declare for each byte of the file.
  static let expansion = 1000
  /// Bytes of the metadata text, and of a text attribute.
  static let textBytes = 256 << 20
  /// Bytes that decoded chunks may occupy between reads.
  static let cachedBytes = 32 << 20
}
