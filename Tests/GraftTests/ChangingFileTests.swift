import Foundation
import Graft
import Synchronization
import TestSupport
import Testing

@Suite struct `Files that change while they are read` {
  private let workspace = TemporaryFolder()

  /// A callback that does something once, when the first bytes were read.
  private func once(_ action: @escaping @Sendable () throws -> Void) -> Graft.Progress {
    let isDone = Mutex(false)
    return Graft.Progress { _ in
      isDone.withLock { isDone in
        guard !isDone else { return }
        isDone = true
        try? action()
      }
    }
  }

  private func copy() throws -> String {
    try workspace.copy(golden("families/llama-bf16/model.safetensors"), to: "model.safetensors")
  }

  @Test func `a file that another takes the place of is read to its end as it was`() throws {
    let path = try copy()
    let replacement = try workspace.copy(golden("layouts/kohya.safetensors"), to: "other")
    let replacing = once { try #require(rename(replacement, path) == 0) }
    let result = try verify(path, threadCount: 1, progress: replacing)
    #expect(result.defects == [])
    #expect(result.byteCount == (try verify(golden("families/llama-bf16"))).byteCount)
    // The next reader gets the new one.
    #expect(try inspect(OpenedCheckpoint(path: path)).layout == .kohya)
  }

  @Test func `a file that is written to ends in an error that names it`() throws {
    let path = try copy()
    let size = try #require(FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
    // Later than the clock's tick in which the file was made.
    usleep(20_000)
    let writing = once {
      let file = try FileHandle(forUpdating: URL(filePath: path))
      try file.seek(toOffset: UInt64(size - 2))
      try file.write(contentsOf: [0, 0])
      try file.close()
    }
    let error = StorageError(
      .changed(expectedBytes: size, foundBytes: size), file: path,
      remedy: "run this again when nothing writes to the file")
    #expect(throws: error) { try verify(path, threadCount: 1, progress: writing) }
    #expect(error.diagnosis.kind == .inputOutput)
    #expect(error.diagnosis.location == path)
  }

  @Test func `a file that gets shorter ends in an error, whatever was read of it`() throws {
    let (first, second) = (try copy(), golden("families/llama-bf16/model.safetensors"))
    let cutting = once {
      let file = try FileHandle(forUpdating: URL(filePath: first))
      try file.truncate(atOffset: 20_000)
      try file.close()
    }
    #expect(throws: StorageError.self) {
      try diff(
        OpenedCheckpoint(path: first), OpenedCheckpoint(path: second),
        options: DiffOptions(threadCount: 1), progress: cutting)
    }
  }

  // MARK: - What is made of files

  /// Something that a verb makes of files in a folder.
  struct Making: Sendable, CustomTestStringConvertible {
    let name: String
    /// The files that are read.
    let files: [String]
    let make: @Sendable (_ folder: TemporaryFolder, _ target: String, Graft.Progress) throws -> Void

    var testDescription: String { name }

    init(
      _ name: String, of files: [String],
      _ make:
        @escaping @Sendable (_ folder: TemporaryFolder, _ target: String, Graft.Progress) throws ->
        Void
    ) {
      self.name = name
      self.files = files
      self.make = make
    }
  }

  private static let makings = [
    Making("convert", of: ["base/model.safetensors", "base/config.json"]) {
      folder, target, progress in
      _ = try convert(OpenedCheckpoint(path: folder("base")), to: target, progress: progress)
    },
    Making("convert to words", of: ["words.bin"]) { folder, target, progress in
      let options = ConversionOptions(form: .wordVectors(.word2vecText), threadCount: 1)
      _ = try convert(
        OpenedCheckpoint(path: folder("words.bin")), to: target, options: options,
        progress: progress)
    },
    Making(
      "merge",
      of: ["base/model.safetensors", "base/config.json", "adapter/adapter_model.safetensors"]
    ) { folder, target, progress in
      _ = try merge(
        base: OpenedCheckpoint(path: folder("base")),
        adapters: [WeightedAdapter(path: folder("adapter"))], output: target,
        options: MergeOptions(threadCount: 1), progress: progress)
    },
    Making("warm-start", of: ["model/model.safetensors", "model/tokenizer.json", "words.bin"]) {
      folder, target, progress in
      try warmStart(
        model: OpenedCheckpoint(path: folder("model")),
        vectors: OpenedCheckpoint(path: folder("words.bin")), output: target, progress: progress)
    },
    Making("repair", of: ["broken/model-00001-of-00003.safetensors", "broken/config.json"]) {
      folder, target, progress in
      _ = try repair(folder("broken"), to: target, progress: progress)
    },
    Making("diff", of: ["base/model.safetensors", "base/config.json"]) { folder, _, progress in
      _ = try diff(
        OpenedCheckpoint(path: folder("base")),
        OpenedCheckpoint(path: golden("families/llama-tied")),
        options: DiffOptions(threadCount: 1), progress: progress)
    },
  ]

  private func prepare() throws {
    _ = try workspace.copy(golden("families/llama-tied"), to: "base")
    _ = try workspace.copy(golden("lora/llama-tied"), to: "adapter")
    _ = try workspace.copy(fixture("model"), to: "model")
    _ = try workspace.copy(fixture("vectors/newtestament.bin"), to: "words.bin")
    let shards = ConversionOptions(form: .directory(maximumShardByteCount: 30_000))
    _ = try convert(
      OpenedCheckpoint(path: workspace("base")), to: workspace("broken"), options: shards)
    try Data("{".utf8).write(
      to: URL(filePath: workspace("broken/model.safetensors.index.json")))
  }

  @Test(arguments: makings.flatMap { making in making.files.map { (making, $0) } })
  func `what is made of a file that is written to meanwhile never appears`(
    making: Making, file: String
  ) throws {
    try prepare()
    let path = workspace(file)
    // Later than the clock's tick in which the file was made.
    usleep(20_000)
    let writing = once {
      // The same byte as before: that somebody writes is enough.
      let handle = try FileHandle(forUpdating: URL(filePath: path))
      let end = try handle.seekToEnd() - 1
      try handle.seek(toOffset: end)
      let last = try handle.readToEnd() ?? Data()
      try handle.seek(toOffset: end)
      try handle.write(contentsOf: last)
      try handle.close()
    }
    let before = try workspace.names(in: workspace.path)
    let error = try #require(throws: StorageError.self) {
      try making.make(workspace, workspace("made"), writing)
    }
    #expect(error.file == path)
    #expect(error.diagnosis.summary == "the file was written to while it was read")
    #expect(try workspace.names(in: workspace.path) == before)
    // Without the change it appears.
    try making.make(workspace, workspace("made"), .none)
    let names = Set(try workspace.names(in: workspace.path))
    #expect(names == Set(before).union(making.name == "diff" ? [] : ["made"]))
  }
}
