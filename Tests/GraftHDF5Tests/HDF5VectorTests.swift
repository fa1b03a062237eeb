import GraftCore
import GraftHDF5
import TestSupport
import Testing

@Suite struct `HDF5 files of h5py` {
  /// A tree with every element type, layout and filter, and one with the structures of the newest format.
  @Test(arguments: [("tree", 43), ("latest", 275)])
  func `a tree reads as h5py wrote it`(file: String, count: Int) throws {
    let golden = Repository.root + "/Fixtures/golden/hdf5/"
    let reader = try HDF5Reader(path: golden + file + ".h5")
    let table = try JSONValue.parse(contents(golden + file + ".json"), file: file).array ?? []
    #expect(table.count == count)
    try #require(reader.tensors.count == count)
    if file == "tree" {
      #expect(
        reader.metadata == [
          MetadataEntry(key: "backend", value: "tensorflow"),
          MetadataEntry(key: "fixed", value: "padded"),
        ])
    } else {
      // More attributes than a header holds, one of them larger than a block of their heap.
      #expect(reader.metadata.count == 20)
      #expect(reader.metadata.map(\.value.utf8.count).max() == 7 * 7801)
    }
    for (index, expected) in table.enumerated() {
      let info = try TensorInfo(
        name: TensorName(expected["name"]?.string ?? ""),
        dtype: #require(DType(rawValue: expected["dtype"]?.string ?? "")),
        shape: Shape(expected["shape"]?.array?.compactMap(\.int) ?? []))
      try #require(reader.tensors[index] == info)
      let read = try bytes(of: index, reader)
      #expect(read.map { hexadecimal($0) }.joined() == expected["bytes"]?.string, "\(info.name)")
      // The same in tiles that fit nothing.
      let tiled = try stride(from: 0, to: read.count, by: 13).flatMap {
        try bytes(of: index, in: $0..<min($0 + 13, read.count), reader)
      }
      #expect(tiled == read, "\(info.name)")
    }
  }

  private func hexadecimal(_ byte: UInt8) -> String {
    (byte < 16 ? "0" : "") + String(byte, radix: 16)
  }

  @Test(arguments: try Directory.entries(of: Repository.root + "/Formats/hdf5/accept"))
  func `accepts`(name: String) throws {
    let reader = try HDF5Reader(path: Repository.root + "/Formats/hdf5/accept/" + name)
    #expect(reader.tensors.map(\.name) == ["x"])
    #expect(reader.tensors.map(\.shape) == [[4]])
    let x = try reader.contents(of: 0)
    #expect(
      (0..<4).map { x.bytes.unsafeLoad(fromByteOffset: 4 * $0, as: Float.self) } == [0, 1, 2, 3])
  }

  @Test func `what is neither a tensor nor metadata is told`() throws {
    func omissions(_ path: String) throws -> [String] {
      try HDF5Reader(path: Repository.root + path).omissions
    }
    // What makes the tensor a scale, h5py writes by itself; the root's text is metadata.
    #expect(
      try omissions("/Formats/hdf5/accept/attributes.h5") == [
        "the attribute epoch of the root", "the attribute nothing of the root",
        "the attribute scale of g/e and 1 more", "the attribute labels of x", "the empty group g/e",
      ])
    #expect(try omissions("/Formats/hdf5/accept/empty-groups.h5") == ["the empty group a/b/c"])
    #expect(
      try omissions("/Fixtures/golden/hdf5/tree.h5") == ["the attribute number of the root"])
    for name in ["weights.h5", "nested.h5", "model.h5", "model.weights.h5"] {
      #expect(try omissions("/Fixtures/golden/keras/" + name) == [], "\(name)")
    }
  }

  @Test func `an attribute that Keras doesn't write is told in its files, too`() throws {
    let folder = TemporaryFolder()
    var bytes = try contents(Repository.root + "/Fixtures/golden/keras/model.h5")
    // An attribute of the root, where it is metadata, and one of the group of weights.
    let name = Array("keras_version\0".utf8)
    let places = bytes.indices.filter { bytes[$0...].starts(with: name) }
    #expect(places.count == 2)
    for place in places { bytes[place + 6] = UInt8(ascii: "V") }
    let reader = try HDF5Reader(path: folder.write(bytes))
    #expect(reader.omissions == ["the attribute keras_Version of model_weights"])
    #expect(reader.metadata.contains { $0.key == "keras_Version" })
  }

  struct Vector: Sendable, CustomTestStringConvertible {
    let file: String
    let rule: String
    var testDescription: String { "\(file) by \(rule)" }
  }

  static let rejected: [Vector] = {
    let path = Repository.root + "/Formats/hdf5/vectors.json"
    let table = try? JSONValue.parse(contents(path), file: path).array
    return (table ?? []).map {
      Vector(file: $0["file"]?.string ?? "", rule: $0["rule"]?.string ?? "")
    }
  }()

  @Test(arguments: rejected)
  func `rejects`(vector: Vector) throws {
    let error = #expect(throws: StorageError.self) {
      let reader = try HDF5Reader(path: Repository.root + "/Formats/hdf5/reject/" + vector.file)
      for index in reader.tensors.indices { _ = try reader.contents(of: index) }
      _ = try reader.vocabulary()
    }
    let words = "\(error.map { "\($0.reason)" } ?? "")"
      .split { !$0.isLetter && !$0.isNumber && $0 != "-" }
    #expect(words.contains { $0 == vector.rule }, "\(error.map { "\($0)" } ?? "accepted")")
  }

  @Test func `every rejected file has a vector`() throws {
    let files = try Directory.entries(of: Repository.root + "/Formats/hdf5/reject")
    #expect(files == Self.rejected.map(\.file).sorted())
  }

  @Test func `every rule of the page is in the sources and has a vector`() throws {
    let page = String(decoding: try Repository.bytes("Formats/hdf5/SPEC.md"), as: UTF8.self)
    let stated = Set(page.matches(of: /\n\* \*\*(H-\d+)\*\*/).map { String($0.1) })
    let cited = Set(
      try sources(below: "Sources/GraftHDF5").matches(of: /\b(H-\d+)\b/).map { String($0.1) })
    #expect(stated == cited)
    #expect(stated == Set(Self.rejected.map(\.rule)))
    #expect(stated.count == 27)
  }

  /// The text of all sources in a folder and the folders in it.
  private func sources(below folder: String) throws -> String {
    try Directory.entries(of: Repository.path(folder)).map { name -> String in
      let path = folder + "/" + name
      if Directory.exists(at: Repository.path(path)) { return try sources(below: path) }
      return String(decoding: try Repository.bytes(path), as: UTF8.self)
    }.joined(separator: "\n")
  }
}
