import GraftCore
import GraftFormats

extension FuzzTarget {
  /// Accepted: no file outside the directory, and the same when written again.
  static let shardIndex = FuzzTarget(
    "shard-index", seeds: ["Formats/shard-index/**.json"],
    dictionary: ["weight_map", "metadata", "total_size", ".safetensors", "../", "%2e", "\\u002e"],
    structure: .text,
    run: { bytes in
      guard let index = try? ShardIndex(parsing: bytes, file: "input") else { return }
      promise(index.shards.allSatisfy(Directory.isSafeRelativePath), "paths lead downwards")
      promise(
        index.placements.allSatisfy { index.shards.indices.contains($0.shard) },
        "every tensor has a shard")
      guard let again = try? ShardIndex(parsing: index.serialized, file: "written") else {
        fatalError("what was written is an index")
      }
      promise(again.shards == index.shards, "the shards are kept")
      promise(again.totalByteCount == index.totalByteCount, "the size is kept")
      promise(again.placements.count == index.placements.count, "the tensors are kept")
    })
}
