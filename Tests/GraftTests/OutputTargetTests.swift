import Foundation
import Graft
import TestSupport
import Testing

/// What may be replaced by a checkpoint: what a verb wrote before, and anything of another kind only on request.
@Suite struct `Replacing a checkpoint` {
  private let workspace = TemporaryFolder()

  private func copied(_ golden: String, to name: String) throws -> String {
    let path = try workspace.copy(GraftTests.golden(golden), to: name)
    try? FileManager.default.removeItem(atPath: path + "/golden.safetensors")
    return path
  }

  private func contents(_ path: String) throws -> [String: Data] {
    let names = try FileManager.default.subpathsOfDirectory(atPath: path)
    return names.reduce(into: [:]) {
      $0[$1] = FileManager.default.contents(atPath: path + "/" + $1)
    }
  }

  private func convert(
    _ source: String, to target: String, overwrites: Bool = false
  ) throws {
    var options = ConversionOptions()
    options.overwrites = overwrites
    options.allowsLoss = true
    _ = try Graft.convert(try OpenedCheckpoint(path: source), to: target, options: options)
  }

  @Test(arguments: [
    ("lora/llama-tied", "families/llama-tied", "a model", " with generation_config.json"),
    ("families/llama-tied", "lora/llama-tied", "an adapter", ""),
  ])
  func `a checkpoint of another kind stays unless asked`(
    source: String, target: String, kind: String, others: String
  ) throws {
    let (from, to) = (try copied(source, to: "source"), try copied(target, to: "target"))
    let before = try contents(to)
    let error = #expect(throws: StorageError.self) { try convert(from, to: to) }
    #expect(error?.reason == .alreadyExists)
    #expect(
      error?.remedy
        == "\(kind) stands there, and would be lost\(others); name another target, or give --overwrite"
    )
    #expect(try contents(to) == before)

    try convert(from, to: to, overwrites: true)
    #expect(try contents(to) == contents(from))
    // The verb's own output is replaced without asking.
    try convert(from, to: to)
    #expect(try contents(to) == contents(from))
  }

  @Test(arguments: [
    "training_log.jsonl", "notes/ideas.txt", ".git/HEAD", "ema.safetensors", "README.md", "LICENSE",
    ".gitattributes", "tokenizer.json", "merges.txt", "chat_template.jinja", "pytorch_model.bin",
  ])
  func `files that the new checkpoint doesn't have are named and stay unless asked`(
    name: String
  ) throws {
    let from = try copied("families/llama-tied", to: "source")
    let to = try copied("families/llama-bf16", to: "target")
    let file = URL(filePath: to + "/" + name)
    try FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data("x".utf8).write(to: file)
    let before = try contents(to)
    let error = #expect(throws: StorageError.self) { try convert(from, to: to) }
    #expect(error?.reason == .alreadyExists)
    #expect(error?.remedy?.hasPrefix("\(name) would be lost; ") == true)
    #expect(try contents(to) == before)
    try convert(from, to: to, overwrites: true)
    #expect(try contents(to) == contents(from))
  }

  @Test func `all that would be lost is named, or how much more there is`() throws {
    let to = try copied("families/llama-bf16", to: "target")
    for name in ["LICENSE", "README.md", "merges.txt", "notes.md", "tokenizer.json", "vocab.json"] {
      try Data("x".utf8).write(to: URL(filePath: to + "/" + name))
    }
    let error = #expect(throws: StorageError.self) {
      try convert(copied("families/llama-tied", to: "source"), to: to)
    }
    #expect(
      error?.remedy
        == "LICENSE, README.md, merges.txt, notes.md, 2 more would be lost; name another target, or give --overwrite"
    )
  }

  @Test func `a model takes the place of another model, whatever its shards`() throws {
    let from = try copied("families/llama-tied", to: "source")
    let options = ConversionOptions(form: .directory(maximumShardByteCount: 7_000))
    _ = try Graft.convert(
      try OpenedCheckpoint(path: golden("families/qwen3")), to: workspace("target"),
      options: options)
    try convert(from, to: workspace("target"))
    #expect(try contents(workspace("target")) == contents(from))
  }

  @Test func `what a checkpoint of another kind would take along is named`() throws {
    let to = try copied("lora/llama-tied", to: "target")
    for name in ["photos/1.jpg", "photos/2.jpg", "notes.txt"] {
      let file = URL(filePath: to + "/" + name)
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data("x".utf8).write(to: file)
    }
    let model = try copied("families/llama-tied", to: "source")
    let error = #expect(throws: StorageError.self) { try convert(model, to: to) }
    #expect(
      error?.remedy
        == "an adapter stands there, and would be lost with notes.txt, photos/1.jpg, photos/2.jpg; name another target, or give --overwrite"
    )
    // Tensors without a configuration are several.
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
      try FileManager.default.removeItem(atPath: to + "/" + name)
    }
    _ = try workspace.copy(model + "/model.safetensors", to: "target/model.safetensors")
    let other = #expect(throws: StorageError.self) { try convert(model, to: to) }
    #expect(
      other?.remedy?.hasPrefix(
        "tensors without a configuration stand there, and would be lost with notes.txt") == true)
  }

  @Test func `a file with a checkpoint of another kind stays unless asked`() throws {
    let (adapter, model) = (golden("lora/llama-tied"), golden("families/llama-tied"))
    let file = workspace("it.h5")
    try convert(adapter, to: file)
    let error = #expect(throws: StorageError.self) { try convert(model, to: file) }
    let size = Quantity.bytes(try InputFile(path: file).byteCount)
    #expect(
      error?.remedy
        == "it.h5, an adapter in hdf5, \(size), stands there, and would be lost; name another target, or give --overwrite"
    )
    #expect(try OpenedCheckpoint(path: file).kind == .adapter)
    try convert(adapter, to: file)
    try convert(model, to: file, overwrites: true)
    #expect(try OpenedCheckpoint(path: file).kind == .model)
  }

  @Test(arguments: ["notes.h5", "notes.safetensors"])
  func `a file that is no checkpoint stays unless asked`(name: String) throws {
    let source = try copied("families/llama-tied", to: "source")
    let target = workspace.path + "/" + name
    try Data("my notes".utf8).write(to: URL(filePath: target))
    let error = #expect(throws: StorageError.self) { try convert(source, to: target) }
    #expect(error?.reason == .alreadyExists)
    #expect(
      error?.remedy?.hasPrefix("\(name), a file that is no checkpoint, stands there, and") == true)
    #expect(FileManager.default.contents(atPath: target) == Data("my notes".utf8))
    try convert(source, to: target, overwrites: true)
    #expect(try OpenedCheckpoint(path: target).reader.tensors.isEmpty == false)
  }

  /// A file with some tensors of one byte each.
  private func file(
    _ name: String, _ tensors: [String], metadata: [MetadataEntry] = []
  ) throws -> String {
    let infos = try tensors.map { try TensorInfo(name: TensorName($0), dtype: .u8, shape: [1]) }
    let file = try AtomicFile(path: workspace(name))
    let writer: any CheckpointWriter =
      try name.hasSuffix(".h5")
      ? HDF5Writer(file.output, tensors: infos, metadata: metadata)
      : SafetensorsWriter(infos, metadata: metadata, to: file.output)
    for index in infos.indices { try writer.write([7] as [UInt8], of: index, at: 0) }
    try writer.finish()
    try file.commit()
    return workspace(name)
  }

  @Test(arguments: ["theirs.safetensors", "theirs.h5"])
  func `a file with tensors or metadata that the new one doesn't have stays unless asked`(
    name: String
  ) throws {
    let source = try file("source.safetensors", ["a", "b"])
    let step = MetadataEntry(key: "step", value: "100")
    for (tensors, metadata, lost) in [
      (["a", "mine"], [], "tensor mine"), (["b", "a"], [step], "the metadata step"),
    ] as [([String], [MetadataEntry], String)] {
      let target = try file(name, tensors, metadata: metadata)
      let before = FileManager.default.contents(atPath: target)
      let error = #expect(throws: StorageError.self) { try convert(source, to: target) }
      #expect(error?.reason == .alreadyExists)
      #expect(
        error?.remedy
          == "\(lost) would be lost; name another target, or give --overwrite")
      #expect(FileManager.default.contents(atPath: target) == before)
      try convert(source, to: target, overwrites: true)
      #expect(try OpenedCheckpoint(path: target).reader.tensors.map(\.name) == ["a", "b"])
      try convert(source, to: target)
    }
  }

  @Test func `a file inside HDF5 that the new one doesn't have stays unless asked`() throws {
    let source = try copied("families/llama-tied", to: "source")
    try Data("x".utf8).write(to: URL(filePath: source + "/README.md"))
    try convert(source, to: workspace("model.h5"))
    try FileManager.default.removeItem(atPath: source + "/README.md")
    let error = #expect(throws: StorageError.self) {
      try convert(source, to: workspace("model.h5"))
    }
    #expect(error?.remedy?.hasPrefix("README.md would be lost; ") == true)
    try convert(source, to: workspace("model.h5"), overwrites: true)
    try convert(source, to: workspace("model.h5"))
  }

  @Test(arguments: [
    "out", "out.safetensors", "out.h5", "out.gguf", "out.weights.h5", "out.bin", "out.npz",
  ])
  func `a verb runs again over its own output`(name: String) throws {
    let source = try copied("families/llama-tied", to: "source")
    for _ in 0..<2 { try convert(source, to: workspace(name)) }
    #expect(try OpenedCheckpoint(path: workspace(name)).reader.tensors.isEmpty == false)
  }

  @Test(arguments: ["table.bin", "table.txt"])
  func `a table of words runs again over its own output, and over nothing else`(
    name: String
  ) throws {
    let source = fixture("vectors/newtestament-50.w2v.txt")
    let options = ConversionOptions(
      form: .wordVectors(name == "table.bin" ? .word2vecBinary : .word2vecText))
    for _ in 0..<2 {
      _ = try Graft.convert(OpenedCheckpoint(path: source), to: workspace(name), options: options)
    }
    let theirs = try file("theirs.safetensors", ["a"])
    #expect(throws: StorageError.self) {
      try Graft.convert(OpenedCheckpoint(path: source), to: theirs, options: options)
    }
  }

  @Test func `what isn't a file or a directory is seen before the work, behind links too`() throws {
    let source = golden("families/llama-tied")
    #expect(mkfifo(workspace("fifo"), 0o600) == 0)
    try FileManager.default.createSymbolicLink(
      atPath: workspace("link.h5"), withDestinationPath: workspace("fifo"))
    for target in [workspace("link.h5"), "/dev/null"] {
      let error = #expect(throws: StorageError.self) {
        _ = try AtomicFile(path: target)
      }
      let kind = target == "/dev/null" ? "a device" : "a FIFO"
      #expect(error?.reason == .notRegular(found: kind))
    }
    #expect(throws: StorageError.self) { try convert(source, to: workspace("link.h5")) }
    for (target, kind) in [(workspace("fifo"), "a FIFO"), ("/dev/null", "a device")] {
      let error = #expect(throws: StorageError.self) { try convert(source, to: target) }
      #expect(error?.remedy == "\(kind) stands there; name a directory that isn't there")
    }
    #expect(try workspace.names(in: workspace.path) == ["fifo", "link.h5"])
  }

  @Test func `a directory without a checkpoint is never replaced`() throws {
    try FileManager.default.createDirectory(
      atPath: workspace("photos"), withIntermediateDirectories: true)
    try Data("x".utf8).write(to: URL(filePath: workspace("photos/holiday.jpg")))
    #expect(throws: StorageError.self) {
      try convert(golden("families/llama-tied"), to: workspace("photos"), overwrites: true)
    }
    #expect(try workspace.names(in: workspace("photos")) == ["holiday.jpg"])
  }

  @Test func `merge and warm-start ask like convert`() throws {
    let adapter = try copied("lora/llama-tied", to: "adapter")
    let before = try contents(adapter)
    #expect(throws: StorageError.self) {
      try merge(
        base: OpenedCheckpoint(path: golden("families/llama-tied")),
        adapters: [WeightedAdapter(path: golden("lora/llama-tied"))], output: adapter)
    }
    let vectors = try OpenedCheckpoint(path: fixture("vectors/newtestament.bin"))
    #expect(throws: StorageError.self) {
      try warmStart(
        model: OpenedCheckpoint(path: fixture("model")), vectors: vectors, output: adapter)
    }
    #expect(try contents(adapter) == before)
    try warmStart(
      model: OpenedCheckpoint(path: fixture("model")), vectors: vectors, output: adapter,
      options: WarmStartOptions(overwrites: true))
    #expect(try OpenedCheckpoint(path: adapter).kind == .model)
  }
}
