import GraftCore
import GraftFormats
import TestSupport
import Testing

struct PyTorchTests {
  static let vectors = ArchiveVector.table(of: "pytorch")

  @Test func `the table lists every file`() throws {
    #expect(Set(Self.vectors.map(\.file)) == (try ArchiveVector.files(of: "pytorch")))
    #expect(Self.vectors.count(where: \.isAccepted) > 45)
    #expect(Self.vectors.count > 220)
  }

  @Test func `an empty dictionary has neither tensors nor metadata`() throws {
    let folder = TemporaryFolder()
    let file = try AtomicFile(path: folder.path + "/empty.pt")
    try PyTorchWriter([], to: file.output).finish()
    try file.commit()
    let reader = try PyTorchReader(path: folder.path + "/empty.pt")
    #expect(reader.tensors.isEmpty)
    #expect(reader.metadata.isEmpty)
  }

  @Test(arguments: vectors.filter(\.isAccepted))
  func `accepts`(vector: ArchiveVector) throws {
    #expect(try FormatSniffer.sniff(path: vector.path) == .pytorch)
    let reader = try PyTorchReader(path: vector.path)
    #expect(reader.format == .pytorch)
    try vector.judge(reader)
    if let metadata = vector.row["metadata"]?.object {
      #expect(reader.metadata.map(\.key) == metadata.members.map(\.key))
      #expect(reader.metadata.map(\.value) == metadata.members.map(\.value.string))
    }
    if let ties = vector.row["ties"]?.array {
      #expect(
        reader.ties.map { $0.map { reader.tensors[$0].name.text } }
          == ties.map { $0.array?.compactMap(\.string) ?? [] })
    }
    let unreadable = vector.row["unreadable"]?.object?.members ?? []
    #expect(reader.unreadable.map(\.name.text) == unreadable.map(\.key))
    #expect(reader.unreadable.map(\.kind) == unreadable.map(\.value.string))
  }

  @Test(arguments: vectors.filter { !$0.isAccepted })
  func `rejects with the rule and the byte`(vector: ArchiveVector) throws {
    let error = try #require(throws: StorageError.self) { try PyTorchReader(path: vector.path) }
    try vector.judge(error)
  }

  @Test func `every rule of the page is in the sources and the other way round`() throws {
    let (stated, cited) = try rules(
      of: "pytorch", letter: "P", in: ["Sources/GraftFormats/PyTorch"])
    #expect(stated == cited)
    #expect(stated.count == 18)
  }

  @Test func `what is refused is named, with a way round`() throws {
    let path = Repository.path("Formats/pytorch/reject/global-system.pt")
    let error = try #require(throws: StorageError.self) { try PyTorchReader(path: path) }
    #expect(error.diagnosis.summary == "refused: a global outside the list (pytorch P-9)")
    #expect(error.diagnosis.location?.hasSuffix("found os.system") == true)
    #expect(error.diagnosis.remedy?.contains("torch.save(model.state_dict(), FILE)") == true)
  }

  // MARK: - What PyTorch wrote

  @Test(arguments: ["archive", "protocol-4", "stack", "big-endian"])
  func `reads every tensor that PyTorch wrote`(name: String) throws {
    let reader = try PyTorchReader(path: Repository.golden("pytorch/\(name).pt"))
    try expectSameTensors(reader, as: "pytorch/expected.safetensors")
    #expect(
      reader.ties.map { $0.map { reader.tensors[$0].name.text } } == [["linear.weight", "tied"]])
    let metadata = Dictionary(uniqueKeysWithValues: reader.metadata.map { ($0.key, $0.value) })
    #expect(
      metadata == [
        "epoch": "3", "version": "2.4.0",
        "optimizer.param_groups": #"[{"lr":0.001,"betas":[0.9,0.999],"params":[0,1]}]"#,
      ])
    for tensor in reader.tensors.indices { try reader.checkStoredBytes(of: tensor) }
  }

  @Test func `reads the dtypes that came later`() throws {
    let reader = try PyTorchReader(path: Repository.golden("pytorch/newer.pt"))
    try expectSameTensors(reader, as: "pytorch/newer.safetensors")
  }

  @Test func `only what lies in order has a place in the file`() throws {
    let reader = try PyTorchReader(path: Repository.golden("pytorch/archive.pt"))
    let placed = Set(
      reader.tensors.indices.filter { reader.extent(of: $0) != nil }
        .map { reader.tensors[$0].name.text })
    #expect(placed.isSuperset(of: ["linear.weight", "tied", "views.base", "views.rows"]))
    #expect(
      placed.isDisjoint(with: [
        "views.columns", "views.transposed", "views.expanded", "views.permuted", "views.windows",
      ]))
    let swapped = try PyTorchReader(path: Repository.golden("pytorch/big-endian.pt"))
    let bytes = try #require(swapped.index(of: "types.int8"))
    #expect(swapped.extent(of: bytes) != nil)
    #expect(swapped.extent(of: try #require(swapped.index(of: "linear.weight"))) == nil)
  }

  @Test func `reads shards through their index`() throws {
    let path = Repository.golden("pytorch/sharded/pytorch_model.bin.index.json")
    #expect(try FormatSniffer.sniff(path: path) == .shardIndex)
    let reader = try ShardedReader(indexPath: path)
    #expect(
      reader.tensors.map(\.name.text) == ["embed.weight", "a", "head.weight", "b"])
    #expect(reader.ties == [[0, 2]])
    #expect(try reader.bytes(of: 3) == [0, 1, 2].flatMap { [$0, 0, 0, 0, 0, 0, 0, 0] })
    try reader.checkStoredBytes(of: 3)
  }

  // MARK: - Writing

  @Test func `what was written reads back the same, and twice the same bytes`() throws {
    let folder = TemporaryFolder()
    let source = try SafetensorsReader(path: Repository.golden("safetensors/dtypes.safetensors"))
    let held = source.tensors.indices.filter { source.tensors[$0].name != "layer.none" }
    let paths = [folder.path + "/one.pt", folder.path + "/two.pt"]
    for (turn, path) in paths.enumerated() {
      let file = try AtomicFile(path: path)
      let first = source.tensors[held[0]].name
      let writer = try PyTorchWriter(
        held.map { source.tensors[$0] }, copies: [(name: "again", of: first)], to: file.output)
      for (place, tensor) in (turn == 0 ? Array(held.enumerated()) : held.enumerated().reversed()) {
        if turn == 0, let extent = source.extent(of: tensor) {
          try writer.copy(extent, to: place)
        } else {
          // In halves, the second before the first.
          let bytes = try source.bytes(of: tensor)
          let middle = bytes.count / 2
          try writer.write(Array(bytes[middle...]), of: place, at: middle)
          try writer.write(Array(bytes[..<middle]), of: place, at: 0)
        }
      }
      try writer.finish()
      try file.commit()
    }
    #expect(
      try InputFile.contents(of: paths[0], atMost: 1 << 20)
        == InputFile.contents(of: paths[1], atMost: 1 << 20))
    let reader = try PyTorchReader(path: paths[0])
    #expect(reader.ties == [[0, held.count]])
    #expect(reader.tensors.map(\.name).dropLast() == held.map { source.tensors[$0].name }[...])
    for (place, tensor) in held.enumerated() {
      #expect(reader.tensors[place] == source.tensors[tensor])
      #expect(try reader.bytes(of: place) == source.bytes(of: tensor))
      try reader.checkStoredBytes(of: place)
      let start = try #require(reader.extent(of: place)).range.lowerBound
      #expect(start % 64 == 0)
    }
  }

  @Test func `bytes that were not given, and types that PyTorch has not, are errors`() throws {
    let folder = TemporaryFolder()
    let file = try AtomicFile(path: folder.path + "/short.pt")
    let info = try TensorInfo(name: "a", dtype: .f32, shape: [4])
    let writer = try PyTorchWriter([info], to: file.output)
    try writer.write([UInt8](repeating: 1, count: 8), of: 0, at: 0)
    #expect(throws: StorageError.self) { try writer.finish() }
    let blocks = try TensorInfo(name: "q", dtype: .q8_0, shape: [32])
    let other = try AtomicFile(path: folder.path + "/blocks.pt")
    let error = try #require(throws: StorageError.self) {
      try PyTorchWriter([blocks], to: other.output)
    }
    #expect(error.diagnosis.summary == "PyTorch can't hold Q8_0")
    #expect(throws: StorageError.self) { try PyTorchWriter([info, info], to: other.output) }
  }
}
