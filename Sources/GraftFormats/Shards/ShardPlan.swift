public import GraftCore

/// Which tensors go into which file of a sharded checkpoint.
///
/// Tensors keep their order; a shard is closed before the tensor that would exceed the limit; a tensor that is larger than the limit
/// gets a shard of its own. The plan equals that of `huggingface_hub`.
public struct ShardPlan: Sendable, Equatable {
  /// The limit that other tools use unless told otherwise.
  public static let defaultMaximumByteCount = 5_000_000_000

  /// For each shard the positions of its tensors.
  public let shards: [[Int]]
  private let stem: String
  private let suffix: String

  /// Plans shards of at most `maximumByteCount` bytes of tensor data.
  public init(
    _ tensors: [TensorInfo], maximumByteCount: Int = ShardPlan.defaultMaximumByteCount,
    stem: String = "model", suffix: String = ".safetensors"
  ) {
    var shards: [[Int]] = []
    var open: [Int] = []
    var openByteCount = 0
    for (position, tensor) in tensors.enumerated() {
      if tensor.byteCount > maximumByteCount {
        shards.append([position])
        continue
      }
      if tensor.byteCount > maximumByteCount - openByteCount {
        shards.append(open)
        (open, openByteCount) = ([], 0)
      }
      open.append(position)
      openByteCount += tensor.byteCount
    }
    if !open.isEmpty || shards.isEmpty { shards.append(open) }
    self.shards = shards
    self.stem = stem
    self.suffix = suffix
  }

  /// The file names: `model-00001-of-00003.safetensors`, or `model.safetensors` for a single one.
  public var fileNames: [String] {
    guard shards.count > 1 else { return [stem + suffix] }
    return (1...shards.count).map { "\(stem)-\(Self.part($0, of: shards.count))\(suffix)" }
  }

  /// The name of the index beside the shards; nil where a single file needs none.
  public var indexName: String? { shards.count > 1 ? stem + suffix + ".index.json" : nil }

  /// What the name of one of several files says, counted from 1: `00001-of-00003`.
  static func part(_ number: Int, of count: Int) -> String {
    func padded(_ number: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
    return "\(padded(number))-of-\(padded(count))"
  }
}
