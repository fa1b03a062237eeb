import Foundation
import Graft
import GraftAdapters
import GraftCore
import GraftFormats
import GraftHDF5
import TestSupport
import Testing

/// What a model may be merged from and into.
extension MergeTests {
  @Test func `every container of base and adapter gives the same weights`() throws {
    let base = try OpenedCheckpoint(path: tied)
    try merge(tied, [adapter], to: space("plain"))
    let merged = try OpenedCheckpoint(path: space("plain")).reader
    for (source, name, form) in [
      (base, "base.h5", .hdf5(.zstd())),
      (try OpenedCheckpoint(path: adapter), "adapter.h5", .hdf5()),
      (base, "shards", .directory(maximumShardByteCount: 20_000)),
    ] as [(OpenedCheckpoint, String, OutputForm)] {
      _ = try convert(source, to: space(name), options: ConversionOptions(form: form))
    }
    #expect(try OpenedCheckpoint(path: space("adapter.h5")).kind == .adapter)
    #expect(try OpenedCheckpoint(path: space("base.h5")).kind == .model)
    for (base, output) in [
      (space("base.h5"), space("out")), (space("base.h5"), space("out.h5")),
      (space("shards"), space("out2")), (tied, space("out2.h5")),
      (tied + "/model.safetensors", space("out3")),
      (space("shards/model.safetensors.index.json"), space("out4")),
    ] {
      try merge(base, [space("adapter.h5")], to: output)
      let again = try OpenedCheckpoint(path: output)
      #expect(again.file("config.json") != nil, "\(output)")
      #expect(again.reader.tensors.count == merged.tensors.count)
      for tensor in merged.tensors {
        #expect(try again.reader.bytes(tensor.name) == merged.bytes(tensor.name), "\(tensor.name)")
      }
    }
  }

  @Test func `shards on request carry an index`() throws {
    let form = OutputForm.directory(maximumShardByteCount: 32_000)
    try merge(tied, [adapter], to: space("out"), MergeOptions(form: form))
    let names = try space.names(in: space("out"))
    #expect(names.contains("model.safetensors.index.json"))
    #expect(names.contains("model-00001-of-00003.safetensors"))
    try merge(tied, [adapter], to: space("one"))
    let one = try OpenedCheckpoint(path: space("one")).reader
    let many = try OpenedCheckpoint(path: space("out")).reader
    for tensor in one.tensors {
      #expect(try many.bytes(tensor.name) == one.bytes(tensor.name))
    }
  }

  @Test(arguments: ["llama-tied", "gpt2", "qwen3"], [nil, GGUFMixture.f16, .q8_0, .q4_k_m])
  func `GGUF is what a conversion of the merged directory gives`(
    name: String, mixture: GGUFMixture?
  ) throws {
    let base = golden("families/" + name)
    let adapter = golden("lora/" + name)
    var options = MergeOptions(form: .gguf(mixture), verifies: true, threadCount: 3)
    options.allowsLoss = true
    let receipt = try merge(base, [adapter], to: space("merged.gguf"), options)
    #expect(try #require(receipt.verifiedByteCount) > 0)
    // The model has the name of the file, or of the directory that it was made from.
    try FileManager.default.createDirectory(
      atPath: space("apart"), withIntermediateDirectories: true)
    let apart = try merge(base, [adapter], to: space("apart/merged"))
    var conversion = ConversionOptions(form: .gguf(mixture))
    conversion.allowsLoss = true
    _ = try convert(
      OpenedCheckpoint(path: space("apart/merged")), to: space("converted.gguf"),
      options: conversion)
    #expect(
      FileManager.default.contentsEqual(
        atPath: space("merged.gguf"), andPath: space("converted.gguf")))
    #expect(receipt.entries.map(\.updateNorm) == apart.entries.map(\.updateNorm))
    #expect(receipt.entries.map(\.changedCount) == apart.entries.map(\.changedCount))
  }

  @Test(arguments: [GGUFMixture.f32, .f16, .bf16, .q8_0, .q4_k_m])
  func `a type of GGUF is made of the sums as f32, unless the base has it`(
    mixture: GGUFMixture
  ) throws {
    let base = golden("families/llama-bf16")
    var options = MergeOptions(form: .gguf(mixture), verifies: true)
    options.allowsLoss = true
    let receipt = try merge(base, [adapter], to: space("merged.gguf"), options)
    let rounded: DType = mixture == .bf16 ? .bf16 : .f32
    #expect(receipt.entries.allSatisfy { $0.dtype == rounded })
    var conversion = ConversionOptions(form: .gguf(mixture))
    conversion.allowsLoss = true
    // By way of a directory of sums, and by way of one that has them rounded to the base's dtype.
    for (folder, dtype) in [("wide", .f32), ("narrow", nil)] as [(String, DType?)] {
      try Directory.create(space(folder))
      try merge(base, [adapter], to: space(folder + "/merged"), MergeOptions(dtype: dtype))
      _ = try convert(
        OpenedCheckpoint(path: space(folder + "/merged")), to: space(folder + ".gguf"),
        options: conversion)
    }
    func isMerged(_ name: String) -> Bool {
      FileManager.default.contentsEqual(atPath: space("merged.gguf"), andPath: space(name))
    }
    #expect(isMerged(mixture == .bf16 ? "narrow.gguf" : "wide.gguf"))
    #expect(mixture == .bf16 || !isMerged("narrow.gguf"))
  }

  /// A base whose tensors lie in another order than Graft's, with metadata, in some container.
  private func unordered(in container: String) throws -> String {
    let path = try space.copy(tied, to: "base")
    try FileManager.default.removeItem(atPath: path + "/golden.safetensors")
    let file = path + "/model.safetensors"
    let reader = try SafetensorsReader(path: file)
    var (entries, data) = ([#""__metadata__":{"zeta":"1","format":"pt","alpha":"2"}"#], [UInt8]())
    for tensor in reader.tensors.reversed() {
      let bytes = try reader.bytes(tensor.name)
      let offsets = [data.count, data.count + bytes.count]
      entries.append(
        #""\#(tensor.name)":{"dtype":"\#(tensor.dtype)","shape":\#(tensor.shape.dimensions),"data_offsets":\#(offsets)}"#
      )
      data += bytes
    }
    let header = Array(("{" + entries.joined(separator: ",") + "}").utf8)
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> ($0 * 8)) }
    try Data(length + header + data).write(to: URL(filePath: file))
    try Data("notes".utf8).write(to: URL(filePath: path + "/a.txt"))
    try Directory.create("a", below: path)
    try Data("more".utf8).write(to: URL(filePath: path + "/a/b.txt"))
    guard container != "safetensors" else { return path }
    var options = ConversionOptions(form: container == "torch" ? .pyTorchDirectory() : .hdf5())
    options.allowsLoss = true
    _ = try convert(OpenedCheckpoint(path: path), to: space("base." + container), options: options)
    return space("base." + container)
  }

  @Test(
    arguments: ["safetensors", "torch", "h5"],
    [
      ("", .directory(maximumShardByteCount: 60_000)), (".safetensors", .safetensorsFile),
      (".h5", .hdf5()), (".h5", .hdf5(.zstd(level: 1))), (".gguf", .gguf()),
      (".gguf", .gguf(.q8_0)), (".gguf", .gguf(nil, maximumShardByteCount: 100_000)),
      (".weights.h5", .keras()), (".h5", .keras()), ("", .pyTorchDirectory()),
      (".pt", .pyTorchFile), (".npz", .numPy(.archive)),
    ] as [(suffix: String, form: OutputForm)])
  func `every form is what a conversion of the merged directory gives, byte for byte`(
    container: String, target: (suffix: String, form: OutputForm)
  ) throws {
    let base = try unordered(in: container)
    for folder in ["one", "two"] { try Directory.create(space(folder)) }
    var options = MergeOptions(form: target.form, verifies: true)
    options.allowsLoss = true
    let receipt = try merge(base, [adapter], to: space("one/tuned" + target.suffix), options)
    try merge(base, [adapter], to: space("tuned"))
    var conversion = ConversionOptions(form: target.form)
    conversion.allowsLoss = true
    let report = try convert(
      OpenedCheckpoint(path: space("tuned")), to: space("two/tuned" + target.suffix),
      options: conversion)
    let names = try FileManager.default.subpathsOfDirectory(atPath: space("one")).sorted()
    #expect(try FileManager.default.subpathsOfDirectory(atPath: space("two")).sorted() == names)
    for name in names where Directory.hasFile(at: space("one/" + name)) {
      let same = FileManager.default.contentsEqual(
        atPath: space("one/" + name), andPath: space("two/" + name))
      #expect(same, "\(name)")
    }
    #expect(receipt.losses == report.losses)
    #expect(receipt.notes == report.notes)
    #expect(receipt.json["notes"]?.array?.count == report.notes.count)
  }

  @Test func `GGUF in several files is read back and right`() throws {
    var options = MergeOptions(
      form: .gguf(nil, maximumShardByteCount: 32_000), verifies: true, threadCount: 2)
    options.allowsLoss = true
    let receipt = try merge(tied, [adapter], to: space("out.gguf"), options)
    #expect(try #require(receipt.verifiedByteCount) > 0)
    let names = try space.names(in: space.path)
    #expect(names.count > 1)
    #expect(names.first == "out-00001-of-0000\(names.count).gguf")
  }

  @Test func `PyTorch's files on request carry an index, as those of a conversion do`() throws {
    let form = OutputForm.pyTorchDirectory(maximumShardByteCount: 32_000)
    try merge(tied, [adapter], to: space("out"), MergeOptions(form: form, verifies: true))
    try merge(tied, [adapter], to: space("plain"))
    let options = ConversionOptions(form: form)
    _ = try convert(OpenedCheckpoint(path: space("plain")), to: space("apart"), options: options)
    let names = try space.names(in: space("out"))
    #expect(names.contains("pytorch_model.bin.index.json"))
    #expect(names.contains("pytorch_model-00001-of-00003.bin"))
    #expect(try space.names(in: space("apart")) == names)
    for name in names {
      let same = FileManager.default.contentsEqual(
        atPath: space("out/" + name), andPath: space("apart/" + name))
      #expect(same, "\(name)")
    }
  }

  @Test(arguments: [1, 2, 5])
  func `compressed HDF5 doesn't depend on the threads`(threads: Int) throws {
    let form = OutputForm.hdf5(.zstd(level: 1))
    try merge(tied, [adapter], to: space("one.h5"), MergeOptions(form: form, threadCount: 1))
    let receipt = try merge(
      tied, [adapter], to: space("many.h5"),
      MergeOptions(form: form, verifies: true, threadCount: threads))
    #expect(
      FileManager.default.contentsEqual(atPath: space("one.h5"), andPath: space("many.h5")))
    #expect(receipt.verifiedByteCount == receipt.byteCount)
  }

  @Test func `a form that can't hold the model says so, and takes it only when told to`() throws {
    let error = #expect(throws: StorageError.self) {
      try merge(tied, [adapter], to: space("out.safetensors"))
    }
    #expect(error?.diagnosis.summary.contains("config.json") == true)
    var options = MergeOptions()
    options.allowsLoss = true
    let receipt = try merge(tied, [adapter], to: space("out.safetensors"), options)
    #expect(receipt.losses.map(\.what) == ["config.json", "generation_config.json"])
    try merge(tied, [adapter], to: space("out"))
    #expect(
      FileManager.default.contentsEqual(
        atPath: space("out.safetensors"), andPath: space("out/model.safetensors")))
  }

  @Test func `another dtype is written and named in the configuration`() throws {
    try merge(tied, [adapter], to: space("out"), MergeOptions(dtype: .bf16, verifies: true))
    let merged = try OpenedCheckpoint(path: space("out"))
    #expect(merged.reader.tensors.allSatisfy { $0.dtype == .bf16 })
    let config = try JSONValue.parse(try merged.requiredFile("config.json"), file: "config.json")
    #expect(config["dtype"] == "bfloat16")
  }

  @Test func `the output may be the input`() throws {
    let model = try space.copy(tied, to: "model")
    // The golden values beside a model aren't part of it.
    try FileManager.default.removeItem(atPath: model + "/golden.safetensors")
    try merge(tied, [adapter], to: space("apart"))
    try merge(model, [adapter], to: model)
    #expect(
      FileManager.default.contentsEqual(
        atPath: space("apart/model.safetensors"), andPath: model + "/model.safetensors"))
    #expect(try space.names(in: space.path) == ["apart", "model"])
  }

  @Test func `an adapter written by Graft reads back the same`() throws {
    let opened = try OpenedCheckpoint(path: adapter)
    try opened.adapter().write(into: space("adapter"))
    let again = try OpenedCheckpoint(path: space("adapter"))
    #expect(again.kind == .adapter)
    #expect(try again.adapterConfiguration() == opened.adapterConfiguration())
    for tensor in opened.reader.tensors {
      #expect(try again.reader.bytes(tensor.name) == opened.reader.bytes(tensor.name))
    }
    try merge(tied, [adapter], to: space("one"))
    try merge(tied, [space("adapter")], to: space("two"))
    #expect(
      FileManager.default.contentsEqual(
        atPath: space("one/model.safetensors"), andPath: space("two/model.safetensors")))
  }
}
