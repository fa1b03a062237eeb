import GraftCore
import GraftHDF5
import TestSupport
import Testing

/// A model directory through one file and back, the way a converter goes.
@Suite struct `A model directory in one HDF5 file` {
  /// A safetensors file taken apart: the bytes before its tensor data and the tensors in the order of the data.
  private struct Shard {
    var header: [UInt8]
    var tensors: [(info: TensorInfo, range: Range<Int>)]

    init(header: [UInt8]) throws {
      self.header = header
      let object = try JSONValue.parse(Array(header[8...]), file: "header").object
      tensors = try (object?.members ?? []).filter { $0.key != "__metadata__" }.map { entry in
        let offsets = entry.value["data_offsets"]?.array?.compactMap(\.int) ?? []
        let info = try TensorInfo(
          name: TensorName(entry.key),
          dtype: #require(DType(rawValue: entry.value["dtype"]?.string ?? "")),
          shape: Shape(entry.value["shape"]?.array?.compactMap(\.int) ?? []))
        return (info, header.count + offsets[0]..<header.count + offsets[1])
      }
      tensors.sort { $0.range.lowerBound < $1.range.lowerBound }
    }

    static func read(_ path: String) throws -> Shard {
      let file = try InputFile(path: path)
      let length = try file.bytes(at: 0, count: 8).reversed().reduce(0) { $0 << 8 | Int($1) }
      return try Shard(header: file.bytes(at: 0, count: 8 + length))
    }
  }

  @Test(arguments: [HDF5Compression.none, .zstd()])
  func `comes back bit for bit`(compression: HDF5Compression) throws {
    let scratch = TemporaryFolder()
    let source = Repository.root + "/Fixtures/golden/families/llama-bf16"
    let names = try Directory.entries(of: source)
    let shardNames = names.filter { $0.hasSuffix(".safetensors") }
    try #require(shardNames.count == 2)
    let shards = try shardNames.map { try Shard.read(source + "/" + $0) }

    let file = try AtomicFile(path: scratch.path + "/model.h5")
    let writer = try HDF5Writer(
      file.output, tensors: shards.flatMap { $0.tensors.map(\.info) },
      files: names.filter { !$0.hasSuffix(".safetensors") }.map {
        HDF5Attachment(name: $0, file: try InputFile(path: source + "/" + $0))
      },
      shards: zip(shardNames, shards).map { HDF5Attachment(name: $0, bytes: $1.header) },
      compression: compression)
    var position = 0
    for (name, shard) in zip(shardNames, shards) {
      let input = try InputFile(path: source + "/" + name)
      for tensor in shard.tensors {
        try writer.copy(FileExtent(file: input, range: tensor.range), to: position)
        position += 1
      }
    }
    try writer.finish()
    try file.commit()

    let reader = try HDF5Reader(path: scratch.path + "/model.h5")
    for attachment in reader.files {
      let bytes = try attachment.bytes(in: 0..<attachment.byteCount)
      #expect(try bytes == contents(source + "/" + attachment.name))
    }
    position = 0
    for attachment in reader.shards {
      let shard = try Shard(header: attachment.bytes(in: 0..<attachment.byteCount))
      var rebuilt = shard.header
      for tensor in shard.tensors {
        try #require(reader.tensors[position] == tensor.info)
        rebuilt += try bytes(of: position, reader)
        position += 1
      }
      #expect(try rebuilt == contents(source + "/" + attachment.name), "\(attachment.name)")
    }
    #expect(
      reader.files.map(\.name) + reader.shards.map(\.name) == [
        "config.json", "generation_config.json",
      ] + shardNames)
  }
}
