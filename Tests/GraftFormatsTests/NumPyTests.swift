import GraftCore
import GraftFormats
import TestSupport
import Testing

struct NumPyTests {
  static let vectors = ArchiveVector.table(of: "numpy")

  @Test func `the table lists every file`() throws {
    #expect(Set(Self.vectors.map(\.file)) == (try ArchiveVector.files(of: "numpy")))
  }

  @Test func `every rule has files that keep it at its limit and files that break it`() throws {
    let (stated, _) = try rules(of: "numpy", letter: "N", in: [])
    let kept = Set(Self.vectors.compactMap { $0.row["keeps"]?.string })
    let broken = Set(Self.vectors.filter { !$0.isAccepted }.compactMap { $0.row["rule"]?.string })
    for rule in stated.map({ "numpy " + $0 }) {
      #expect(kept.contains(rule), "nothing keeps \(rule)")
      #expect(broken.contains(rule), "nothing breaks \(rule)")
    }
  }

  @Test(arguments: vectors.filter(\.isAccepted))
  func `accepts`(vector: ArchiveVector) throws {
    #expect(try FormatSniffer.sniff(path: vector.path) == .numpy)
    try vector.judge(try NumPyReader(path: vector.path))
  }

  @Test(arguments: vectors.filter { !$0.isAccepted })
  func `rejects with the rule and the byte`(vector: ArchiveVector) throws {
    let error = try #require(throws: StorageError.self) { try NumPyReader(path: vector.path) }
    try vector.judge(error)
  }

  @Test func `every rule of the page is in the sources and the other way round`() throws {
    let (stated, cited) = try rules(of: "numpy", letter: "N", in: ["Sources/GraftFormats/NumPy"])
    #expect(stated == cited)
    #expect(stated.count == 9)
  }

  @Test(arguments: ["arrays", "compressed"])
  func `reads every array that NumPy wrote`(name: String) throws {
    let reader = try NumPyReader(path: Repository.golden("numpy/\(name).npz"))
    try expectSameTensors(reader, as: "numpy/expected.safetensors")
    let scalar = try #require(reader.index(of: "scalar"))
    #expect((reader.extent(of: scalar) != nil) == (name == "arrays"))
  }

  @Test(arguments: [1, 2, 3])
  func `reads every version of the header`(version: Int) throws {
    let reader = try NumPyReader(path: Repository.golden("numpy/version-\(version).npy"))
    let expected = try SafetensorsReader(path: Repository.golden("numpy/expected.safetensors"))
    let twin = try #require(expected.index(of: "fortran"))
    #expect(try reader.bytes(of: 0) == expected.bytes(of: twin))
    #expect(reader.tensors[0].name == "array")
  }

  @Test func `writes the bytes that NumPy writes`() throws {
    let folder = TemporaryFolder()
    let source = try NumPyReader(
      path: Repository.path("Formats/numpy/accept/fortran.npy"))
    let path = folder.path + "/array.npy"
    let file = try AtomicFile(path: path)
    let writer = try NumPyWriter(source.tensors, form: .singleArray, to: file.output)
    try writer.write(source.bytes(of: 0), of: 0, at: 0)
    try writer.finish()
    try file.commit()
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }"
    let written = try InputFile.contents(of: path, atMost: 1 << 10)
    #expect(written.count == 128 + 16)
    #expect(written[10...].starts(with: header.utf8))
    #expect(written[127] == 0x0A)
    #expect(try NumPyReader(path: path).bytes(of: 0) == source.bytes(of: 0))
  }

  @Test func `an archive that was written reads back the same`() throws {
    let folder = TemporaryFolder()
    let source = try NumPyReader(path: Repository.golden("numpy/arrays.npz"))
    let path = folder.path + "/again.npz"
    let file = try AtomicFile(path: path)
    let writer = try NumPyWriter(source.tensors, form: .archive, to: file.output)
    for tensor in source.tensors.indices {
      if let extent = source.extent(of: tensor) {
        try writer.copy(extent, to: tensor)
      } else {
        try writer.write(source.bytes(of: tensor), of: tensor, at: 0)
      }
    }
    try writer.finish()
    try file.commit()
    try expectSameTensors(NumPyReader(path: path), as: "numpy/expected.safetensors")
  }

  @Test func `types and names that NumPy has not are errors with a way round`() throws {
    let folder = TemporaryFolder()
    let file = try AtomicFile(path: folder.path + "/array.npz")
    let brain = try TensorInfo(name: "a", dtype: .bf16, shape: [4])
    let error = try #require(throws: StorageError.self) {
      try NumPyWriter([brain], form: .archive, to: file.output)
    }
    #expect(error.diagnosis.summary == "NumPy can't hold BF16")
    #expect(error.remedy?.contains("--dtype f32") == true)
    for name in ["../a", "/a", "a//b", "a\\b", "a\nb"] as [TensorName] {
      let info = try TensorInfo(name: name, dtype: .f32, shape: [4])
      #expect(throws: StorageError.self, "\(name)") {
        try NumPyWriter([info], form: .archive, to: file.output)
      }
    }
    let plain = try TensorInfo(name: "a", dtype: .f32, shape: [4])
    #expect(throws: StorageError.self) {
      try NumPyWriter([plain, brain], form: .singleArray, to: file.output)
    }
  }
}
