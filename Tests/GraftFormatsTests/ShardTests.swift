import GraftCore
import GraftFormats
import Glibc
import TestSupport
import Testing

struct ShardTests {
  static let golden = Repository.path("Fixtures/golden/shards")
  let folder = TemporaryFolder()

  @Test func `plans shards as huggingface_hub does`() throws {
    let rows = try JSONValue.parse(
      Repository.bytes("Fixtures/golden/shards/plans.json"), file: "plans.json")
    for row in try #require(rows.array) {
      let sizes = try #require(row["sizes"]?.array).compactMap(\.int)
      let infos = try sizes.enumerated().map {
        try TensorInfo(name: TensorName("\($0)"), dtype: .u8, shape: Shape([$1]))
      }
      let plan = ShardPlan(infos, maximumByteCount: try #require(row["limit"]?.int))
      let files = try #require(row["files"]?.array)
      #expect(plan.fileNames == files.compactMap { $0[0]?.string })
      #expect(plan.shards == files.map { $0[1]?.array?.compactMap(\.int) })
    }
  }

  @Test func `writes the shards and the index that huggingface_hub writes`() throws {
    let source = try ShardedReader(indexPath: Self.golden + "/model.safetensors.index.json")
    #expect(source.shards.count > 2)
    // The hub deals tensors out in the order of the state dict.
    let order = (0..<6).flatMap { ["layer.\($0).weight", "layer.\($0).bias"] } + ["embedding"]
    let infos = try order.map { source.tensors[try #require(source.index(of: TensorName($0)))] }
    let directory = try AtomicDirectory(path: folder.path + "/out")
    let writer = try ShardedWriter(
      infos, metadata: [MetadataEntry(key: "format", value: "pt")], maximumByteCount: 128,
      into: directory)
    for (position, info) in writer.tensors.enumerated() {
      let tensor = try #require(source.index(of: info.name))
      try writer.copy(#require(source.extent(of: tensor)), to: position)
    }
    try writer.finish()
    try directory.commit()
    let names = try Directory.entries(of: Self.golden).filter { $0.hasPrefix("model") }
    #expect(try Directory.entries(of: directory.path) == names)
    for name in names {
      let written = try InputFile.contents(of: directory.path + "/" + name, atMost: 1 << 20)
      let expected = try InputFile.contents(of: Self.golden + "/" + name, atMost: 1 << 20)
      if name.hasSuffix(".json") {
        let (left, right) = (
          try JSONValue.parse(written, file: name), try JSONValue.parse(expected, file: name)
        )
        #expect(
          left["weight_map"]?.serialized(sortedKeys: true)
            == right["weight_map"]?.serialized(sortedKeys: true))
        #expect(left["metadata"]?["total_size"] == right["metadata"]?["total_size"])
      } else {
        #expect(written == expected, "\(name)")
      }
    }
  }

  @Test func `presents all shards as one checkpoint`() throws {
    let reader = try ShardedReader(indexPath: Self.golden + "/model.safetensors.index.json")
    #expect(reader.tensors.count == 13)
    #expect(reader.metadata == [MetadataEntry(key: "format", value: "pt")])
    let embedding = try #require(reader.index(of: "embedding"))
    let values = try reader.contents(of: embedding)
    #expect(
      values.bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
        == (0..<64).map(Float.init))
    var part = [Float](repeating: 0, count: 2)
    try part.withMutableRawBytes { bytes throws(StorageError) in
      try reader.read(embedding, at: 40, into: &bytes)
    }
    #expect(part == [10, 11])
  }

  @Test func `a single file needs no index`() throws {
    let directory = try AtomicDirectory(path: folder.path + "/single")
    let writer = try ShardedWriter(
      [TensorInfo(name: "a", dtype: .u8, shape: [2])], into: directory)
    try writer.write([1, 2] as [UInt8]).finish()
    try directory.commit()
    #expect(try Directory.entries(of: directory.path) == ["model.safetensors"])
  }

  @Test func `two names of one file are refused`() throws {
    let vector = Repository.path("Formats/shard-index/accept/plain/m-2.safetensors")
    let bytes = try InputFile.contents(of: vector, atMost: 4096)
    _ = try folder.write(bytes, as: "m-1.safetensors")
    try #require(link(folder.path + "/m-1.safetensors", folder.path + "/m-2.safetensors") == 0)
    let index: JSONValue = ["weight_map": ["c": "m-1.safetensors", "d": "m-2.safetensors"]]
    let path = try folder.write(Array(index.serialized().utf8), as: ShardIndex.fileName)
    let error = try #require(throws: StorageError.self) { try ShardedReader(indexPath: path) }
    #expect(error.citation == "shard-index I-7")
  }

  @Test func `an index survives being written and read`() throws {
    let index = try ShardIndex(path: Self.golden + "/model.safetensors.index.json")
    let again = try ShardIndex(parsing: index.serialized, file: "again")
    #expect(again.shards == index.shards)
    #expect(again.totalByteCount == index.totalByteCount)
    #expect(again.serialized == index.serialized)
  }
}

extension ShardedWriter {
  /// Writes the first tensor whole.
  fileprivate func write(_ bytes: [UInt8]) throws -> ShardedWriter {
    try write(bytes, of: 0, at: 0)
    return self
  }
}
