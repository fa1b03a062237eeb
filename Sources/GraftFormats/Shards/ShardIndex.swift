public import GraftCore

/// The file that says which shard of a checkpoint holds which tensor: `model.safetensors.index.json`.
///
/// The format and its numbered rules are in `Formats/shard-index/SPEC.md`.
public struct ShardIndex: Sendable, Equatable {
  /// The usual name of an index.
  public static let fileName = "model.safetensors.index.json"

  /// One tensor and the position of its file in ``shards``.
  public struct Placement: Sendable, Equatable {
    /// The tensor.
    public let tensor: TensorName
    /// The position of its file in ``ShardIndex/shards``.
    public let shard: Int
  }

  /// The file names in byte order.
  public let shards: [String]
  /// The tensors in the order of the file.
  public let placements: [Placement]
  /// The bytes of all tensors, where the index says it.
  public let totalByteCount: Int?
  /// Tensors that stand in no shard because they are another one.
  public let ties: [Tie]

  /// A tensor that was left out, and the one that it is.
  public struct Tie: Sendable, Equatable {
    /// The name that stands in no shard.
    public let left: TensorName
    /// The tensor that it is.
    public let kept: TensorName
  }
  /// Whether the shards are PyTorch's `.bin` files instead of safetensors.
  public let holdsPyTorchFiles: Bool

  /// Members that mean nothing here, the first 256: `metadata.NAME` or `NAME`.
  public let otherMembers: [String]

  /// Makes an index of tensors by shard.
  ///
  /// - Parameters:
  ///   - copies: Further names of tensors, which stand in the shards of those; their bytes count once.
  ///   - ties: Tensors that stand in no shard.
  public init(
    shards: [(name: String, tensors: [TensorInfo])],
    copies: [(name: TensorName, of: TensorName)] = [],
    ties: [(left: TensorName, kept: TensorName)] = []
  ) {
    otherMembers = []
    self.ties = ties.map { Tie(left: $0.left, kept: $0.kept) }
    let sorted = shards.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    self.shards = sorted.map(\.name)
    let further = Dictionary(grouping: copies, by: \.of).mapValues { $0.map(\.name) }
    placements = sorted.enumerated().flatMap { shard, content in
      content.tensors.flatMap { [$0.name] + (further[$0.name] ?? []) }
        .map { Placement(tensor: $0, shard: shard) }
    }
    holdsPyTorchFiles = sorted.contains { $0.name.hasSuffix(".bin") }
    totalByteCount = sorted.reduce(0) { $0 + $1.tensors.reduce(0) { $0 + $1.byteCount } }
  }

  /// Reads an index.
  /// - Throws: ``StorageError`` with the broken rule and the byte.
  public init(path: String, limits: FormatLimits = .standard) throws(StorageError) {
    let file = try InputFile(path: path)
    guard file.byteCount <= limits.shardIndexBytes else {
      throw StorageError(
        .limitExceeded(
          limit: "bytes (shard-index I-1)", maximum: limits.shardIndexBytes,
          found: "\(file.byteCount)"),
        file: path)
    }
    try self.init(
      parsing: file.bytes(at: 0, count: file.byteCount), file: path, limits: limits)
  }

  /// Parses an index.
  /// - Throws: ``StorageError`` with the broken rule and the byte.
  public init(
    parsing bytes: [UInt8], file: String, limits: FormatLimits = .standard
  ) throws(StorageError) {
    var parser = ShardIndexParser(bytes, file: file, limits: limits)
    try parser.parse()
    let names = parser.shards.keys.sorted { $0 < $1 }
    var ranks = [Int](repeating: 0, count: names.count)
    for (rank, name) in names.enumerated() {
      if let position = parser.shards[name] { ranks[position] = rank }
    }
    shards = names.map(\.text)
    placements = parser.placements(ranks)
    totalByteCount = parser.totalByteCount
    ties = parser.ties
    otherMembers = parser.otherMembers
    holdsPyTorchFiles = parser.holdsPyTorchFiles ?? false
  }

  /// The index as other tools write it: keys sorted, two spaces, a final newline.
  public var serialized: [UInt8] {
    var facts = totalByteCount.map { [(key: "total_size", value: JSONValue($0))] } ?? []
    if !ties.isEmpty {
      let members = ties.map { (key: $0.left.text, value: JSONValue.string($0.kept.text)) }
      facts.append(("ties", .object(JSONObject(members: members))))
    }
    let map = placements.map { (key: $0.tensor.text, value: JSONValue.string(shards[$0.shard])) }
    let index: JSONValue = [
      "metadata": .object(JSONObject(members: facts)),
      "weight_map": .object(JSONObject(members: map)),
    ]
    return Array((index.serialized(sortedKeys: true) + "\n").utf8)
  }
}
