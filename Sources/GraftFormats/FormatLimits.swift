/// The largest numbers that readers believe, so that a few hostile bytes can't demand gigabytes.
///
/// Tests lower them instead of building giant files.
public struct FormatLimits: Sendable {
  /// Bytes of a safetensors header; the reference implementation's limit.
  public var safetensorsHeaderBytes = 100_000_000
  /// Tensors of one file.
  public var tensors = 1_000_000
  /// Bytes of a shard index.
  public var shardIndexBytes = 100_000_000
  /// Files of a sharded checkpoint.
  public var shards = 10_000
  /// Bytes of a word-vector file.
  public var wordVectorBytes = 1 << 40
  /// Bytes of a line of a word-vector text.
  public var wordVectorLineBytes = 1 << 20
  /// Bytes of a word of a word-vector file.
  public var wordBytes = 1 << 16
  /// Words of a word-vector file.
  public var words = 100_000_000
  /// Places of the table that finds repeated words, 16 bytes each; a power of two.
  public var wordTablePlaces = 1 << 22
  /// Characters of the longest n-gram of a fastText model.
  public var ngramCharacters = 64
  /// N-grams of a word of a fastText model.
  public var ngrams = 1 << 18
  /// Components of a word vector.
  public var wordVectorDimensions = 65_536

  /// Members of a ZIP archive.
  public var zipMembers = 1_000_000
  /// Bytes of a ZIP archive's central directory.
  public var zipDirectoryBytes = 256 << 20
  /// Bytes of a part that is unpacked into memory, such as a deflated pickle.
  public var inflatedBytes = 32 << 20
  /// Bytes of a pickle.
  public var pickleBytes = 256 << 20
  /// Values and marks on a pickle's stack.
  public var pickleStack = 1 << 18
  /// Values that a pickle remembers, besides one for every eight of its bytes.
  public var pickleMemo = 1 << 19
  /// Values that a pickle holds, besides one for every six of its bytes.
  public var pickleValues = 1 << 20
  /// And besides those for each member of the archive, which is mostly a tensor's storage.
  public var pickleValuesOfMember = 32
  /// Levels of containers in a pickle.
  public var pickleDepth = 64
  /// Bytes of names, and of texts, of a pickle besides as many as it has.
  public var pickleNames = 4 << 20
  /// Bytes of the text that one value of a pickle becomes.
  public var pickleTextBytes = 16 << 20
  /// Bytes that views of a PyTorch file may have beyond those of its storages.
  public var repeatedBytes = 1 << 30
  /// Bytes of a NumPy header.
  public var numPyHeaderBytes = 1 << 16

  /// The limits that the program runs with.
  public static let standard = FormatLimits()

  /// The standard limits, to be changed.
  public init() {}
}
