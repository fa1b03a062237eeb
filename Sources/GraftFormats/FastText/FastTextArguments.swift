internal import GraftCore

/// The arguments that a fastText model was trained with, as its file begins with them.
struct FastTextArguments: Sendable {
  /// 11 or 12.
  let version: Int
  /// The components of a vector.
  let dimensions: Int
  /// The rows of n-grams that hashes are taken modulo.
  let bucketCount: Int
  /// The shortest and longest n-grams, in characters; no n-grams where the longest have none.
  let ngramLengths: (least: Int, most: Int)
  /// All of them in the order of the file, as text.
  let fields: [MetadataEntry]

  /// The first four bytes of a file.
  static let magic: Int32 = 793_712_314
  /// The bytes of magic number, version and arguments.
  static let byteCount = 8 + 12 * 4 + 8
  private static let names = [
    "dim", "ws", "epoch", "minCount", "neg", "wordNgrams", "loss", "model", "bucket", "minn",
    "maxn",
    "lrUpdateRate",
  ]
  private static let supervised: Int32 = 3

  /// Reads the beginning of a file.
  /// - Throws: ``StorageError`` with the broken rule and the byte.
  init(_ file: InputFile, limits: FormatLimits) throws(StorageError) {
    guard file.byteCount >= Self.byteCount else {
      throw StorageError(
        .truncated(
          part: "arguments (fasttext F-1)", expectedBytes: Self.byteCount,
          foundBytes: file.byteCount), file: file.path, offset: file.byteCount)
    }
    let bytes = try file.bytes(at: 0, count: Self.byteCount)
    let numbers = (0..<14).map { bytes.littleEndian(at: $0 * 4, as: Int32.self) }
    guard numbers[0] == Self.magic else {
      throw Self.malformed("F-1", "the number \(Self.magic)", "\(numbers[0])", file, 0)
    }
    guard numbers[1] == 11 || numbers[1] == 12 else {
      throw Self.malformed("F-2", "version 11 or 12", "\(numbers[1])", file, 4)
    }
    version = Int(numbers[1])
    let arguments = numbers[2...].map { Int($0) }
    func field(_ name: String) -> (value: Int, offset: Int) {
      let position = Self.names.firstIndex(of: name) ?? 0
      return (arguments[position], 8 + position * 4)
    }
    let (dim, bucket) = (field("dim"), field("bucket"))
    let (least, most) = (field("minn"), field("maxn"))
    guard (1...limits.wordVectorDimensions).contains(dim.value) else {
      throw Self.malformed(
        "F-3", "1 to \(limits.wordVectorDimensions) dimensions", "\(dim.value)", file, dim.offset)
    }
    guard (0...limits.ngramCharacters).contains(most.value) else {
      throw Self.malformed(
        "F-3", "n-grams of up to \(limits.ngramCharacters) characters", "\(most.value)", file,
        most.offset)
    }
    guard least.value >= 0, most.value == 0 || least.value <= most.value else {
      throw Self.malformed(
        "F-3", "0 to \(most.value) as minn", "\(least.value)", file, least.offset)
    }
    guard bucket.value >= (most.value > 0 ? 1 : 0) else {
      throw Self.malformed("F-3", "buckets for n-grams", "\(bucket.value)", file, bucket.offset)
    }
    dimensions = dim.value
    bucketCount = bucket.value
    // Version 11 wrote lengths that supervised models didn't use.
    let isUnused = version == 11 && field("model").value == Int(Self.supervised)
    ngramLengths = (least.value, isUnused ? 0 : most.value)
    let threshold = Double(bitPattern: bytes.littleEndian(at: 56, as: UInt64.self))
    fields =
      [MetadataEntry(key: "version", value: "\(version)")]
      + zip(Self.names, arguments).map { MetadataEntry(key: $0, value: "\($1)") }
      + [MetadataEntry(key: "t", value: "\(threshold)")]
  }

  static func malformed(
    _ rule: String, _ expected: String, _ found: String, _ file: InputFile, _ offset: Int
  ) -> StorageError {
    StorageError(
      .malformed(rule: "fasttext " + rule, expected: expected, found: found), file: file.path,
      offset: offset)
  }
}
