/// What a file may ask for at most; a hostile number meets one of these first.
enum HDF5Limits {
  /// Groups inside groups.
  static let depth = 64
  /// Groups, datasets and links altogether.
  static let objects = 4_000_000
  /// Bytes of the name of one link.
  static let nameBytes = 65_535
  /// Bytes of one part of the structure: a block of a header, a node of a tree, a heap of names.
  static let partBytes = 32 << 20
  /// Bytes of structure that are read in any case, and how many more for each byte of the file.
  static let structureBytes = 32 << 20
  static let structureExpansion = 8
  /// Blocks of one object header.
  static let headerBlocks = 4096
  /// Attributes of one object.
  static let attributes = 65_536
  /// Bytes of a chunk, decoded; above the second number only in a file that is at least as large.
  static let chunkBytes = 256 << 20
  static let usualChunkBytes = 32 << 20
  /// The decoded bytes from which on chunks are decoded one at a time.
  static let largeChunkBytes = 4 << 20
  /// Chunks of one dataset that were written.
  static let chunks = 1 << 20
  /// Indexes of chunks that are kept, in chunks.
  static let indexedChunks = 1 << 20
  /// Filters of one dataset.
  static let filters = 8
  /// The declared bytes of all datasets above which they are compared with the size of the file.
  static let sparseBytes = 128 << 20
  /// How many bytes they may then declare for each byte of the file.
  static let expansion = 1200
  /// What a piece of a chunk counts at least: a dataset cut into pieces of a byte takes as much work as a large one.
  static let pieceBytes = 32
  /// Bytes of the metadata text: as many as a header of safetensors may have.
  static let metadataBytes = 100_000_000
  /// Bytes of a vocabulary's parts, and of text attributes altogether.
  static let textBytes = 64 << 20
  /// Bytes of text attributes altogether: each text once is no more than the file.
  static func textBytes(ofFile byteCount: Int) -> Int {
    min(textBytes, 1 << 20 + 2 * min(byteCount, textBytes))
  }
  /// Bytes of the paths to all groups and datasets, besides one for each byte of the file.
  static let pathBytes = 32 << 20
  /// Bytes of metadata, a file inside or a vocabulary that are taken into memory in any case, and for each byte of the
  /// file: a few compressed bytes that become millions of objects would be a bomb.
  static let contentBytes = 64 << 10
  static let contentExpansion = 16
  /// Bytes that decoded chunks may occupy between reads.
  static let cachedBytes = 24 << 20
}
