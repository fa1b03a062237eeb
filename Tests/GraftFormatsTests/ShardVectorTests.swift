import GraftCore
import GraftFormats
import TestSupport
import Testing

struct ShardVectorTests {
  static let vectors = Vector.table(of: "shard-index")

  @Test func `the table lists every directory`() throws {
    let listed = Set(
      Self.vectors.map { $0.file.split(separator: "/").prefix(2).joined(separator: "/") })
    var found = Set<String>()
    for verdict in ["accept", "reject"] {
      let folder = Repository.path("Formats/shard-index/" + verdict)
      for name in try Directory.entries(of: folder) { found.insert(verdict + "/" + name) }
    }
    #expect(listed == found)
    #expect(listed.count == 49)
  }

  @Test(arguments: vectors)
  func `judges an index as its row says`(vector: Vector) throws {
    try vector.judge { path throws(StorageError) in _ = try ShardedReader(indexPath: path) }
  }

  @Test func `every rule of the page is in the sources and the other way round`() throws {
    let (stated, cited) = try rules(
      of: "shard-index", letter: "I", in: ["Sources/GraftFormats/Shards"])
    #expect(stated == cited)
    #expect(stated.count == 10)
  }

  @Test(arguments: ["tensors", "shards", "bytes"])
  func `limits hold where they are lowered`(what: String) throws {
    var limits = FormatLimits()
    switch what {
    case "tensors": limits.tensors = 2
    case "shards": limits.shards = 1
    default: limits.shardIndexBytes = 40
    }
    let path = Repository.path("Formats/shard-index/accept/plain/model.safetensors.index.json")
    let error = try #require(throws: StorageError.self) {
      try ShardIndex(path: path, limits: limits)
    }
    #expect(error.citation == "shard-index I-1")
  }
}
