import Foundation
import Graft
import GraftCore
import GraftFormats
import TestSupport
import Testing

@Suite struct `Converting PyTorch's and NumPy's files` {
  private let workspace = TemporaryFolder()

  private func open(_ name: String) throws -> OpenedCheckpoint {
    try OpenedCheckpoint(path: workspace(name))
  }

  private func convert(_ source: OpenedCheckpoint, to name: String, _ form: OutputForm? = nil)
    throws
  {
    var options = ConversionOptions(form: form)
    options.allowsLoss = true
    _ = try Graft.convert(source, to: workspace(name), options: options)
  }

  @Test(arguments: ["model.bin", "model.pt", "model.pth", "model.ckpt"])
  func `a suffix of PyTorch's makes one file, and it comes back`(name: String) throws {
    let source = try OpenedCheckpoint(path: golden("families/llama-bf16"))
    try convert(source, to: name)
    let written = try open(name)
    #expect(written.reader.format == .pytorch)
    #expect(try diff(source, written).isWithinTolerance)
    try convert(written, to: "back")
    #expect(try diff(source, open("back")).isWithinTolerance)
  }

  @Test func `a model directory travels whole in PyTorch's form and back`() throws {
    let source = try workspace.copy(golden("families/qwen3"), to: "source")
    try? FileManager.default.removeItem(atPath: source + "/golden.safetensors")
    let names = try workspace.names(in: source).filter { !$0.hasSuffix(".safetensors") }
    try convert(open("source"), to: "torch", .pyTorchDirectory())
    #expect(
      try workspace.names(in: workspace("torch")) == (names + ["pytorch_model.bin"]).sorted())
    let opened = try open("torch")
    #expect(opened.kind == .model)
    #expect(try verify(workspace("torch")).defects.isEmpty)
    #expect(try inspect(opened).architecture == inspect(open("source")).architecture)
    try convert(opened, to: "back")
    let comparison = try diff(open("source"), open("back"))
    #expect(comparison.isWithinTolerance)
    #expect(comparison.files.allSatisfy { $0.finding == .equal })
    // Its own output may be written anew.
    try convert(open("back"), to: "torch", .pyTorchDirectory())
  }

  @Test func `PyTorch's files in shards have an index, and come back`() throws {
    let source = try OpenedCheckpoint(path: golden("families/qwen3"))
    try convert(source, to: "torch", .pyTorchDirectory(maximumShardByteCount: 30_000))
    let names = try workspace.names(in: workspace("torch")).filter { $0.hasPrefix("pytorch") }
    let count = names.count - 1
    #expect(count > 2)
    #expect(
      names
        == (1...count).map { "pytorch_model-0000\($0)-of-0000\(count).bin" }
        + ["pytorch_model.bin.index.json"])
    let index = try JSONValue.parse(
      InputFile.contents(of: workspace("torch/pytorch_model.bin.index.json"), atMost: 1 << 20),
      file: "index")
    let byteCount = source.reader.tensors.reduce(0) { $0 + $1.byteCount }
    #expect(index["metadata"]?["total_size"]?.int == byteCount)
    #expect(try verify(workspace("torch")).defects.isEmpty)
    #expect(try diff(source, open("torch")).isWithinTolerance)
    try convert(open("torch"), to: "back")
    #expect(try diff(source, open("back")).isWithinTolerance)
    // Its own output may be written anew, in other shards.
    try convert(open("back"), to: "torch", .pyTorchDirectory())
    #expect(
      try workspace.names(in: workspace("torch")).filter { $0.hasPrefix("pytorch") }
        == ["pytorch_model.bin"])
  }

  @Test func `names of one tensor stand in one shard, and count once`() throws {
    let source = try OpenedCheckpoint(path: golden("pytorch/archive.pt"))
    try convert(source, to: "torch", .pyTorchDirectory(maximumShardByteCount: 300))
    let opened = try open("torch")
    #expect(
      opened.reader.ties.map { $0.map { opened.reader.tensors[$0].name.text } }
        == [["linear.weight", "tied"]])
    #expect(try verify(workspace("torch")).defects.isEmpty)
    #expect(try diff(source, opened).isWithinTolerance)
  }

  @Test func `an adapter of PEFT is read from adapter_model.bin`() throws {
    let source = try OpenedCheckpoint(path: golden("lora/llama-tied"))
    try convert(source, to: "adapter", .pyTorchDirectory())
    #expect(
      try workspace.names(in: workspace("adapter")).contains("adapter_model.bin"))
    let opened = try open("adapter")
    #expect(opened.kind == .adapter)
    #expect(try diff(source, opened).isWithinTolerance)
    let facts = try #require(inspect(opened).adapter)
    #expect(facts.modules == (try inspect(source).adapter?.modules))
    _ = try opened.adapter()
  }

  @Test func `names of one tensor are written once, and stay names of it`() throws {
    let source = try OpenedCheckpoint(path: golden("pytorch/archive.pt"))
    #expect(
      try inspect(source).ties.map { $0.map(\.text) } == [["linear.weight", "tied"]])
    try convert(source, to: "one.safetensors")
    let once = try open("one.safetensors")
    #expect(once.reader.tensors.count == source.reader.tensors.count - 1)
    #expect(once.reader.index(of: "tied") == nil)
    #expect(
      once.reader.metadata.contains(MetadataEntry(key: "tied", value: "linear.weight")))
    #expect(
      try inspect(once).ties.map { $0.map(\.text) } == [["linear.weight", "tied"]])
    #expect(try diff(source, once).isWithinTolerance)
    #expect(try diff(once, source).isWithinTolerance)
    try convert(once, to: "again.pt")
    let again = try open("again.pt")
    #expect(again.reader.tensors.count == source.reader.tensors.count)
    #expect(
      again.reader.ties.map { $0.map { again.reader.tensors[$0].name.text } }
        == [["linear.weight", "tied"]])
    // One of its tensors is bf16, which NumPy doesn't have.
    #expect(throws: StorageError.self) {
      try convert(again, to: "arrays.npz", .numPy(.archive))
    }
  }

  @Test func `a model that is declared untied keeps both tensors`() throws {
    let folder = workspace("model")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try FileManager.default.copyItem(
      atPath: golden("pytorch/archive.pt"), toPath: folder + "/pytorch_model.bin")
    for (isTied, count) in [(true, 1), (false, 0)] {
      try Data("{\"tie_word_embeddings\": \(isTied)}".utf8).write(
        to: URL(filePath: folder + "/config.json"))
      let source = try open("model")
      try convert(source, to: "out-\(isTied)")
      #expect(
        try open("out-\(isTied)").reader.tensors.count == source.reader.tensors.count - count)
    }
  }

  @Test func `shards with an index are one model`() throws {
    let source = try OpenedCheckpoint(path: golden("pytorch/sharded"))
    #expect(source.reader.tensors.count == 4)
    try convert(source, to: "whole.safetensors")
    #expect(try diff(source, open("whole.safetensors")).isWithinTolerance)
    #expect(try verify(golden("pytorch/sharded")).defects.isEmpty)
  }

  @Test func `a record that was damaged is a defect, and isn't converted`() throws {
    let path = try workspace.copy(golden("pytorch/archive.pt"), to: "damaged.pt")
    let source = try OpenedCheckpoint(path: path)
    let tensor = try #require(source.reader.index(of: "views.base"))
    let extent = try #require(source.reader.extent(of: tensor))
    let handle = try FileHandle(forUpdating: URL(filePath: path))
    try handle.seek(toOffset: UInt64(extent.range.lowerBound + 5))
    try handle.write(contentsOf: Data([0x41]))
    try handle.close()
    let defects = try verify(path).defects
    #expect(defects.contains { $0.problem.contains("zip Z-14") })
    let error = try #require(throws: StorageError.self) {
      try convert(open("damaged.pt"), to: "out.safetensors")
    }
    #expect("\(error)".contains("zip Z-14"))
    #expect(try !workspace.names(in: workspace.path).contains("out.safetensors"))
  }

  @Test func `tensors that can't be read are listed, and not left out silently`() throws {
    let path = Repository.path("Formats/pytorch/accept/kind-sparse-tensor.pt")
    let source = try OpenedCheckpoint(path: path)
    #expect(try inspect(source).unreadable.map(\.kind) == ["a sparse tensor"])
    #expect(try verify(path).omissions.contains { $0.contains("a sparse tensor") })
    let error = try #require(throws: StorageError.self) {
      _ = try Graft.convert(source, to: workspace("out.safetensors"))
    }
    #expect(
      error.diagnosis.summary == "one safetensors file can't hold tensor s, a sparse tensor")
    try convert(source, to: "out.safetensors")
    #expect(try open("out.safetensors").reader.tensors.count == 1)
  }

  @Test func `what a state dictionary has no place for is named`() throws {
    let source = try OpenedCheckpoint(path: golden("pytorch/archive.pt"))
    let error = try #require(throws: StorageError.self) {
      _ = try Graft.convert(source, to: workspace("flat.pt"))
    }
    #expect(error.diagnosis.summary.contains("the metadata epoch"))
  }

  /// A PyTorch file with one tensor and a text beside it, by the key `note`.
  private func checkpoint(noting text: [UInt8]) throws -> OpenedCheckpoint {
    let plain = try AtomicFile(path: workspace("plain.pt"))
    let writer = try PyTorchWriter(
      [TensorInfo(name: "x", dtype: .u8, shape: [1])], to: plain.output)
    try writer.write([7] as [UInt8], of: 0, at: 0)
    try writer.finish()
    try plain.commit()
    func spelled(_ text: [UInt8]) -> [UInt8] {
      [0x58] + (0..<4).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text
    }
    let archive = try ZipArchive(InputFile(path: workspace("plain.pt")))
    let members = try archive.members.map { member in
      var bytes = try archive.contents(of: member, atMost: 1 << 20)
      // An entry more before the end of the pickle.
      if member.name == "archive/data.pkl" {
        bytes.removeLast()
        bytes += spelled(Array("note".utf8)) + spelled(text) + [0x73, 0x2E]
      }
      return (name: member.name.text, bytes: bytes)
    }
    let file = try AtomicFile(path: workspace("noted.pt"))
    let zip = try ZipWriter(
      members.map { (name: $0.name, byteCount: $0.bytes.count) }, to: file.output)
    for (place, member) in members.enumerated() { try zip.write(member.bytes, of: place, at: 0) }
    try zip.finish()
    try file.commit()
    return try open("noted.pt")
  }

  @Test func `a long text beside the tensors is kept whole, or the cut is named`() throws {
    let long = [UInt8](repeating: UInt8(ascii: "a"), count: 1 << 20)
    let source = try checkpoint(noting: long)
    _ = try Graft.convert(source, to: workspace("whole.safetensors"))
    let note = try #require(
      open("whole.safetensors").reader.metadata.first { $0.key == "note" })
    #expect(Array(note.value.utf8) == long)

    let tooLong = [UInt8](repeating: UInt8(ascii: "b"), count: 16 << 20 + 1)
    let cut = try checkpoint(noting: tooLong)
    let error = #expect(throws: StorageError.self) {
      try Graft.convert(cut, to: workspace("cut.safetensors"))
    }
    let loss = "the end of the metadata note"
    #expect(error?.reason == .notRepresentable(what: loss, inFormat: "one safetensors file"))
    #expect(!workspace.names.contains("cut.safetensors"))
    var options = ConversionOptions()
    options.allowsLoss = true
    let report = try Graft.convert(cut, to: workspace("cut.safetensors"), options: options)
    #expect(report.losses == [ConversionLoss(loss)])
  }

  @Test func `an archive without arrays is NumPy's own, there and back`() throws {
    // numpy.savez(FILE): the end record of an archive, and nothing before it.
    let empty: [UInt8] = [0x50, 0x4B, 0x05, 0x06] + [UInt8](repeating: 0, count: 18)
    let source = try OpenedCheckpoint(path: workspace.write(empty, as: "empty.npz"))
    #expect(source.reader.format == .numpy)
    #expect(source.reader.tensors.isEmpty)
    #expect(try verify(workspace("empty.npz")).defects.isEmpty)
    _ = try Graft.convert(source, to: workspace("empty.safetensors"))
    _ = try Graft.convert(open("empty.safetensors"), to: workspace("again.npz"))
    #expect(try InputFile.contents(of: workspace("again.npz"), atMost: 100) == empty)
  }

  @Test func `arrays become tensors, and tensors arrays`() throws {
    let source = try OpenedCheckpoint(path: golden("numpy/compressed.npz"))
    #expect(source.kind == .tensors)
    try convert(source, to: "arrays.safetensors")
    #expect(try diff(source, open("arrays.safetensors")).isWithinTolerance)
    try convert(open("arrays.safetensors"), to: "again.npz")
    #expect(try diff(source, open("again.npz")).isWithinTolerance)
    #expect(try verify(workspace("again.npz")).defects.isEmpty)
    let brain = try OpenedCheckpoint(path: golden("families/llama-bf16"))
    #expect(throws: StorageError.self) { try convert(brain, to: "brain.npz") }
    var options = ConversionOptions(dtype: .f32)
    options.allowsLoss = true
    _ = try Graft.convert(brain, to: workspace("brain.npz"), options: options)
    #expect(try open("brain.npz").reader.tensors.allSatisfy { $0.dtype == .f32 })
  }

  @Test(arguments: [
    "out", "out.safetensors", "out.h5", "out.weights.h5", "out.gguf", "out.pt", "out.npz",
  ])
  func `members that aren't arrays are named, and aren't metadata of a result`(
    name: String
  ) throws {
    let source = try OpenedCheckpoint(
      path: Repository.path("Formats/numpy/accept/archive-others.npz"))
    let shown = MetadataEntry(key: "note.txt", value: "4 bytes, not an array")
    #expect(try inspect(source).metadata == [shown])
    let error = try #require(throws: StorageError.self) {
      _ = try Graft.convert(source, to: workspace(name))
    }
    #expect(
      error.diagnosis.summary.hasSuffix("can't hold the member note.txt, 4 bytes, not an array"))
    var options = ConversionOptions()
    options.allowsLoss = true
    let report = try Graft.convert(source, to: workspace(name), options: options)
    #expect(report.losses.map(\.what) == ["the member note.txt, 4 bytes, not an array"])
    let written = try open(name)
    #expect(written.reader.tensors.count == 1)
    #expect(!written.reader.metadata.contains { $0.key.contains("note") })
  }

  @Test func `what a file is instead is said`() throws {
    for (bytes, words) in [
      ([0x1F, 0x8B, 8, 0], "gzip"),
      (Array("version https://git-lfs.github.com/spec/v1\n".utf8), "LFS"),
      ([0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], "7z"), ([0x89, 0x50, 0x4E, 0x47], "PNG"),
      ([], "empty"),
    ] as [([UInt8], String)] {
      try Data(bytes).write(to: URL(filePath: workspace("file.pt")))
      let error = try #require(throws: StorageError.self) { try open("file.pt") }
      #expect(error.remedy?.contains(words) == true, "\(error)")
    }
  }
}
