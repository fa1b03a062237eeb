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
  /// Components of a word vector.
  public var wordVectorDimensions = 65_536

  /// The limits that the program runs with.
  public static let standard = FormatLimits()

  /// The standard limits, to be changed.
  public init() {}
}
