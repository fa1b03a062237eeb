import Foundation
import GraftCore
import TestSupport
import Testing

/// What verbs that go on after opening take for as many tensors as headers have, and for as much metadata.
@Suite(.serialized) struct HostileVerbTests {
  /// 128 MiB, whatever the size of the file.
  private static let memory = 128 << 20

  /// A form in which many tensors are kept.
  struct Form: Sendable, CustomTestStringConvertible {
    let name: String
    var options: [String] = []
    var tensorCount = 100_000
    /// What a comparison takes: 128 MiB, but for a layout whose lists name each weight once more.
    var comparisonMemory = 128 << 20

    var testDescription: String { ([name] + options).joined(separator: " ") }
  }

  static let forms = [
    Form(name: "many.h5"),
    Form(name: "many.h5", options: ["--compress", "zstd"]),
    Form(name: "many.weights.h5"),
    Form(name: "many.h5", options: ["--to", "keras"], comparisonMemory: 176 << 20),
    Form(name: "many.gguf"),
    // One more than the end record of an archive can count without a wider one.
    Form(name: "many.npz", tensorCount: 65_536),
    Form(name: "many.pt", tensorCount: 65_536),
  ]

  @Test(arguments: forms)
  func `many tensors pass every verb in 128 MiB`(form: Form) throws {
    let files = TemporaryFolder()
    let (source, target) = (files("many.safetensors"), files(form.name))
    try write("many.safetensors", in: files) { file in
      try Self.manyTensors(form.tensorCount, file)
    }
    let again = files("again.safetensors")
    for verb in [
      ["convert", source, target] + form.options, ["inspect", target],
      ["inspect", target, "--json"], ["verify", target], ["diff", source, target],
      ["convert", target, again],
    ] {
      try hold(verb, memory: verb[0] == "diff" ? form.comparisonMemory : Self.memory)
    }
    try hold(["diff", source, again])
  }

  @Test func `an adapter is merged into many tensors in 128 MiB`() throws {
    let files = TemporaryFolder()
    try write("base.safetensors", in: files) { file in try Self.manyTensors(100_000, file) }
    try FileManager.default.createDirectory(
      at: files.url("adapter"), withIntermediateDirectories: true)
    try Data(
      #"{"peft_type":"LORA","r":1,"lora_alpha":1,"target_modules":["\#(Self.module(7))"]}"#.utf8
    ).write(to: files.url("adapter/adapter_config.json"))
    try write("adapter/adapter_model.safetensors", in: files) { file in
      try file.header {
        let prefix = "base_model.model." + Self.module(7)
        file.text(
          #"{"\#(prefix).lora_A.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"#)
        file.text(
          #""\#(prefix).lora_B.weight":{"dtype":"F32","shape":[2,1],"data_offsets":[8,16]}}"#)
      }
      for number in [1, 2, 3, 4] as [Float] { file.number(number) }
    }
    try hold([
      "merge", files("base.safetensors"), files("adapter"), "--out", files("merged"),
    ])
    try hold(
      ["diff", files("base.safetensors"), files("merged")], expecting: 1)
  }

  // MARK: - Metadata

  /// Metadata about as long as a header may be.
  struct Metadata: Sendable, CustomTestStringConvertible {
    let name: String
    /// How many times its bytes may be there beside 64 MiB: texts of their own take more than their characters.
    let copies: Int
    let write: @Sendable (HostileSizeTests.Writing) throws -> Void

    var testDescription: String { name }
  }

  static let metadata = [
    Metadata(name: "a value of 90 MB", copies: 2) { file in
      try file.header {
        file.text(#"{"__metadata__":{"k":""#)
        file.fill("x", 90_000_000)
        file.text(#""},"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#)
      }
      file.number(1)
    },
    Metadata(name: "a million values of 75 bytes", copies: 5) { file in
      try file.header {
        file.text(#"{"__metadata__":"#)
        file.repeated(1_000_000) { index, block in
          HostileSizeTests.member(index, named: "k", "\"", to: &block)
          block.append(contentsOf: repeatElement(UInt8(ascii: "v"), count: 75))
          block.append(UInt8(ascii: "\""))
        }
        file.text(#"},"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#)
      }
      file.number(1)
    },
  ]

  @Test(arguments: metadata)
  func `metadata is in memory a few times at most`(metadata: Metadata) throws {
    let files = TemporaryFolder()
    let source = files("long.safetensors")
    try write("long.safetensors", in: files, metadata.write)
    let byteCount = try InputFile(path: source).byteCount
    let memory = 64 << 20 + metadata.copies * byteCount
    try hold(["inspect", source], memory: memory)
    try hold(["inspect", source, "--json"], memory: memory)
    try hold(["verify", source], memory: memory)
    try hold(["diff", source, source], memory: memory + metadata.copies * byteCount)
    for name in ["long.gguf", "long.h5", "again.safetensors"] {
      try hold(["convert", source, files(name)], memory: memory)
      try hold(["inspect", files(name)], memory: memory)
      try hold(["convert", files(name), files("back.safetensors"), "--overwrite"], memory: memory)
    }
    #expect(
      FileManager.default.contentsEqual(
        atPath: files("again.safetensors"), andPath: files("back.safetensors")))
  }

  // MARK: - Making and running

  private static let parts = ["down", "gate", "norm", "up"]

  /// The module of a tensor; modules rise as their names do.
  private static func module(_ index: Int) -> String {
    let expert = String(100_000 + index / parts.count)
    return "model.experts.\(expert).\(parts[index % parts.count])"
  }

  /// Matrices of 2 × 2 in a header of the canonical form.
  private static func manyTensors(_ count: Int, _ file: HostileSizeTests.Writing) throws {
    try file.header {
      file.repeated(count) { index, block in
        block.append(index == 0 ? "{\"" : ",\"")
        block.append(contentsOf: module(index).utf8)
        block.append(#".weight":{"dtype":"F32","shape":[2,2],"data_offsets":["#)
        block.append(number: 16 * index, radix: 10)
        block.append(",")
        block.append(number: 16 * index + 16, radix: 10)
        block.append("]}")
      }
      file.text("}")
    }
    file.repeated(4 * count) { index, block in
      block.append(Int(Float(index % 1024).bitPattern), width: 4)
    }
  }

  private func write(
    _ name: String, in files: TemporaryFolder, _ make: (HostileSizeTests.Writing) throws -> Void
  ) throws {
    try Data().write(to: files.url(name))
    let handle = try FileHandle(forWritingTo: files.url(name))
    try make(HostileSizeTests.Writing(handle: handle))
    try handle.close()
  }

  /// Runs a verb, whose files are none of those whose calls are counted: there are too many.
  private func hold(
    _ arguments: [String], memory: Int = HostileVerbTests.memory, expecting status: Int32 = 0,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let elsewhere = TemporaryFolder()
    let outcome = try WatchedGraft.run(
      arguments + ["--threads", "2", "--quiet"], root: elsewhere.folder.path)
    let story: Comment = "\(arguments): \(outcome.status) \(outcome.error)"
    #expect(outcome.status == status, story, sourceLocation: sourceLocation)
    #expect(outcome.peakBytes > 0, story, sourceLocation: sourceLocation)
    #expect(
      outcome.peakBytes <= memory, "\(outcome.peakBytes) bytes, \(story)",
      sourceLocation: sourceLocation)
  }
}
