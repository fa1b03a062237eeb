import Graft
import GraftHDF5
import TestSupport
import Testing

@Suite struct `Converting files of Keras` {
  private let workspace = TemporaryFolder()

  private func open(_ name: String) throws -> OpenedCheckpoint {
    try OpenedCheckpoint(path: workspace(name))
  }

  @Test(
    arguments: [
      ("model.weights.h5", "back.weights.h5"), ("model.h5", "back.h5"), ("weights.h5", "back.h5"),
    ], [HDF5Compression.none, .zstd()])
  func `a file becomes a directory and the same file again`(
    names: (String, String), compression: HDF5Compression
  ) throws {
    let source = try OpenedCheckpoint(path: golden("keras/" + names.0))
    _ = try convert(source, to: workspace("directory"))
    _ = try convert(
      open("directory"), to: workspace(names.1),
      options: ConversionOptions(form: .keras(compression)))
    let back = try open(names.1)
    #expect(back.reader.tensors == source.reader.tensors)
    #expect(Set(back.reader.metadata) == Set(source.reader.metadata))
    #expect(try diff(source, back).isWithinTolerance)
    #expect(
      (back.reader as? HDF5Reader)?.kerasLayout == (source.reader as? HDF5Reader)?.kerasLayout)
  }

  @Test func `the suffix asks for Keras's layout`() throws {
    #expect(OutputForm(for: "a.weights.h5") == .keras())
    #expect(OutputForm(for: "a.keras") == .keras())
    #expect(OutputForm(for: "a.h5") == .hdf5())
  }

  @Test func `a table of words comes back from Keras's layout, which is no part of it`() throws {
    let source = try OpenedCheckpoint(path: fixture("vectors/newtestament-50.w2v.txt"))
    var options = ConversionOptions()
    options.allowsLoss = true
    _ = try convert(source, to: workspace("table.weights.h5"), options: options)
    #expect(try open("table.weights.h5").reader.metadata.contains { $0.key == "keras.layout" })
    let report = try convert(open("table.weights.h5"), to: workspace("words.vec"))
    #expect(report.losses == [])
    #expect(try diff(source, open("words.vec")).isWithinTolerance)
  }

  @Test(arguments: ["x.pt", "x.npz", "x"])
  func `the layout isn't named among what forms without it leave out`(name: String) throws {
    let source = try OpenedCheckpoint(path: golden("keras/model.weights.h5"))
    // NumPy has no bf16.
    var options = ConversionOptions(dtype: .f32)
    if name == "x" { options.form = .pyTorchDirectory() }
    options.allowsLoss = true
    let report = try convert(source, to: workspace(name), options: options)
    #expect(!report.losses.map(\.what).contains("the metadata keras.layout"))
  }

  @Test func `a model of another origin keeps its names in Keras's layout`() throws {
    let source = try OpenedCheckpoint(path: golden("families/llama-bf16"))
    var options = ConversionOptions()
    #expect(throws: StorageError.self) {
      try convert(source, to: workspace("model.weights.h5"), options: options)
    }
    options.allowsLoss = true
    _ = try convert(source, to: workspace("model.weights.h5"), options: options)
    let copy = try open("model.weights.h5")
    #expect(copy.reader.tensors == source.reader.tensors)
    #expect(try diff(source, copy).isWithinTolerance)
  }

  @Test(arguments: ["layer_names", "", String(repeating: "k", count: 70_000)])
  func `metadata that no attribute of Keras's can be needs the flag, and is named`(
    key: String
  ) throws {
    let file = try AtomicFile(path: workspace("source.safetensors"))
    let writer = try SafetensorsWriter(
      [TensorInfo(name: "w", dtype: .u8, shape: [1])],
      metadata: [MetadataEntry(key: key, value: "v"), MetadataEntry(key: "license", value: "mit")],
      to: file.output)
    try writer.write([1] as [UInt8], of: 0, at: 0)
    try writer.finish()
    try file.commit()
    let error = try #require(throws: StorageError.self) {
      try convert(open("source.safetensors"), to: workspace("out.weights.h5"))
    }
    #expect(error.remedy?.contains("--allow-loss") == true)
    var options = ConversionOptions()
    options.allowsLoss = true
    let report = try convert(
      open("source.safetensors"), to: workspace("out.weights.h5"), options: options)
    let name = key.utf8.count > 80 ? String(key.prefix(80)) + "…" : key
    #expect(report.losses.map(\.what) == ["the metadata \(name)"])
    let metadata = try open("out.weights.h5").reader.metadata
    #expect(metadata.contains(MetadataEntry(key: "license", value: "mit")))
    #expect(!metadata.contains { $0.key == key })
  }
}
