import GraftCore
import GraftFormats
import GraftHDF5
import TestSupport
import Testing

@Suite struct `Archives of Keras` {
  struct Vector: Sendable, CustomTestStringConvertible {
    let row: JSONValue

    var file: String { row["file"]?.string ?? "" }
    var path: String { Repository.path("Formats/keras/" + file) }
    var isAccepted: Bool { row["verdict"] == "accept" }
    var testDescription: String { file }
  }

  static let vectors: [Vector] = {
    let name = "Formats/keras/vectors.json"
    let rows = try? JSONValue.parse(Repository.bytes(name), file: name).array
    return (rows ?? []).map { Vector(row: $0) }
  }()

  private func bytes(of tensor: Int, _ reader: KerasArchiveReader) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0xAA, count: reader.tensors[tensor].byteCount)
    try bytes.withMutableRawBytes { (span: inout MutableRawSpan) throws(StorageError) in
      try reader.read(tensor, at: 0, into: &span)
    }
    return bytes
  }

  /// Holds what a reader found against a list of tensors.
  private func expect(_ reader: KerasArchiveReader, _ tensors: JSONValue?) throws {
    let expected = try #require(tensors?.array)
    #expect(reader.tensors.map(\.name.text) == expected.map { $0["name"]?.string })
    #expect(reader.tensors.map(\.dtype.rawValue) == expected.map { $0["dtype"]?.string })
    #expect(
      reader.tensors.map(\.shape.dimensions)
        == expected.map { $0["shape"]?.array?.compactMap(\.int) })
    for (tensor, row) in expected.enumerated() {
      let found = try `HDF5 files of Keras`.hexadecimal(bytes(of: tensor, reader))
      #expect(found == row["bytes"]?.string, "\(row)")
      try reader.checkStoredBytes(of: tensor)
    }
  }

  // MARK: - Vectors

  @Test func `the table lists every file`() throws {
    var files: [String] = []
    for verdict in ["accept", "reject"] {
      files += try Directory.entries(of: Repository.path("Formats/keras/" + verdict)).map {
        verdict + "/" + $0
      }
    }
    #expect(Self.vectors.map(\.file).sorted() == files.sorted())
    #expect(Self.vectors.count > 35)
  }

  @Test(arguments: vectors.filter(\.isAccepted))
  func `accepts`(vector: Vector) throws {
    #expect(try FormatSniffer.sniff(path: vector.path) == .keras)
    try expect(try KerasArchiveReader(path: vector.path), vector.row["tensors"])
  }

  @Test(arguments: vectors.filter { !$0.isAccepted })
  func `rejects with the rule`(vector: Vector) throws {
    let error = try #require(throws: StorageError.self) {
      try KerasArchiveReader(path: vector.path)
    }
    let rule = try #require(vector.row["rule"]?.string?.split(separator: " ").last)
    let words = "\(error.reason)".split { !$0.isLetter && !$0.isNumber && $0 != "-" }
    #expect(words.contains(rule), "\(error)")
    #expect(error.file.hasPrefix(vector.path))
    #expect(error.diagnosis.kind == .badInput)
  }

  @Test func `every rule of the page is in the sources and the other way round`() throws {
    let page = String(decoding: try Repository.bytes("Formats/keras/SPEC.md"), as: UTF8.self)
    let stated = Set(page.matches(of: /\n\| (K-\d+) \|/).map(\.1))
    var cited: Set<String> = []
    let folder = "Sources/GraftHDF5/Keras/Archive"
    for file in try Directory.entries(of: Repository.path(folder)) {
      let source = String(decoding: try Repository.bytes(folder + "/" + file), as: UTF8.self)
      cited.formUnion(source.matches(of: /\b(K-\d+)\b/).map { String($0.1) })
    }
    #expect(Set(stated.map(String.init)) == cited)
    #expect(cited.count == 6)
  }

  // MARK: - Names of classes

  /// The variables of a model with one layer.
  private static func variables(ofLayer className: String) -> KerasVariables? {
    let layer: JSONValue = ["class_name": .string(className), "config": ["name": "x"]]
    return KerasModel(["class_name": "Functional", "config": ["layers": [layer]]])?.variables
  }

  @Test(arguments: [
    ("Conv2DTranspose", "conv2d_transpose"), ("HTTPServer2D", "http_server2d"),
    ("MyLSTMCell", "my_lstm_cell"), ("Mine>A_b C9", "mine_a_b_c9"), ("_Foo", "__foo"),
    ("ABC", "abc"), ("AbC", "ab_c"),
  ])
  func `a layer stands below its class's name as Keras spells it`(
    className: String, link: String
  ) throws {
    let variables = try #require(Self.variables(ofLayer: className))
    #expect(variables.hasLayer(of: TensorName("layers.\(link).vars.0")))
    #expect(!variables.hasLayer(of: "layers.other.vars.0"))
  }

  @Test func `a class with a name too long to be one is no layer and no model`() throws {
    for count in [1_000, 1_001, 8 << 20] {
      let className = String(repeating: "a", count: count)
      let variables = try #require(Self.variables(ofLayer: className))
      let name = TensorName("layers.\(className.prefix(1_001)).vars.0")
      #expect(variables.hasLayer(of: name) == (count == 1_000))
      let model = KerasModel(["class_name": .string(className), "config": [:]])
      #expect(model?.className == (count == 1_000 ? className : nil))
    }
  }

  // MARK: - Keras's own

  @Test func `an archive of Keras has the tensors that h5py finds in it, and its files`() throws {
    let reader = try KerasArchiveReader(path: Repository.golden("keras/model.keras"))
    let table = try Repository.goldenJSON("keras/tensors.json")
    #expect(table["model.keras"]?.array?.count == 55)
    try expect(reader, table["model.keras"])
    #expect(reader.files.map(\.name) == ["metadata.json", "config.json"])
    // Where they lie, in the archive itself.
    #expect(reader.inputs.count == 1)
    #expect(reader.tensors.indices.allSatisfy { reader.extent(of: $0)?.file === reader.file })
  }

  @Test func `damaged weights don't have their checksum`() throws {
    let scratch = TemporaryFolder()
    var bytes = try contents(Repository.path("Formats/keras/accept/stored.keras"))
    let reader = try KerasArchiveReader(path: Repository.path("Formats/keras/accept/stored.keras"))
    let extent = try #require(reader.extent(of: 0))
    bytes[extent.range.lowerBound] ^= 1
    let file = try AtomicFile(path: scratch.path + "/x.keras")
    try file.output.write(bytes, at: 0)
    try file.commit()
    let damaged = try KerasArchiveReader(path: scratch.path + "/x.keras")
    let error = #expect(throws: StorageError.self) { try damaged.checkStoredBytes(of: 0) }
    #expect("\(error.map { "\($0.reason)" } ?? "")".contains("zip Z-14"))
  }

  // MARK: - Writing

  private func write(
    _ reader: KerasArchiveReader, to path: String, _ compression: HDF5Compression
  ) throws {
    let file = try AtomicFile(path: path)
    let weights = try AtomicFile(path: path)
    let writer = try KerasArchiveWriter(
      file.output, scratch: weights.output, tensors: reader.tensors, metadata: reader.metadata,
      members: reader.files, compression: compression)
    for tensor in reader.tensors.indices {
      let bytes = try bytes(of: tensor, reader)
      try writer.write(bytes, of: tensor, at: 0)
    }
    try writer.finish()
    try file.commit()
  }

  @Test(arguments: ["Fixtures/golden/keras/model.keras", "Formats/keras/accept/assets.keras"])
  func `an archive comes back, the same bytes every time`(source: String) throws {
    let scratch = TemporaryFolder()
    let original = try KerasArchiveReader(path: Repository.path(source))
    for compression in [HDF5Compression.none, .zstd()] {
      try write(original, to: scratch.path + "/a.keras", compression)
      let copy = try KerasArchiveReader(path: scratch.path + "/a.keras")
      #expect(copy.tensors == original.tensors)
      #expect(Set(copy.metadata) == Set(original.metadata))
      #expect(copy.files.map(\.name) == original.files.map(\.name))
      for (left, right) in zip(copy.files, original.files) {
        #expect(
          try left.bytes(in: 0..<left.byteCount) == right.bytes(in: 0..<right.byteCount))
      }
      for tensor in original.tensors.indices {
        #expect(try bytes(of: tensor, copy) == bytes(of: tensor, original))
        try copy.checkStoredBytes(of: tensor)
      }
      try write(copy, to: scratch.path + "/b.keras", compression)
      #expect(try contents(scratch.path + "/a.keras") == contents(scratch.path + "/b.keras"))
    }
    #expect(try Directory.entries(of: scratch.path) == ["a.keras", "b.keras"])
  }

  // MARK: - Damage

  @Test func `an archive damaged anywhere is an error or can be read whole`() throws {
    let scratch = TemporaryFolder()
    let path = scratch.path + "/x.keras"
    for name in ["stored", "deflated", "assets"] {
      let whole = try contents(Repository.path("Formats/keras/accept/\(name).keras"))
      for place in whole.indices {
        var mutant = whole
        mutant[place] ^= 1 << UInt8(place % 8)
        try overwrite(path, with: mutant)
        guard let reader = try? KerasArchiveReader(path: path) else { continue }
        for tensor in reader.tensors.indices { _ = try? bytes(of: tensor, reader) }
        for file in reader.files { _ = try? file.bytes(in: 0..<file.byteCount) }
      }
    }
  }
}
