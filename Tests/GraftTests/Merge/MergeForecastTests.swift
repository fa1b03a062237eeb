import Foundation
import Graft
import GraftAdapters
import GraftCore
import TestSupport
import Testing

/// What is said of a merge before it is made.
@Suite struct `Planning a merge` {
  private let space = TemporaryFolder()
  private let adapter = golden("lora/llama-tied")

  private func base() throws -> OpenedCheckpoint {
    try OpenedCheckpoint(path: golden("families/llama-tied"))
  }

  private func plan(
    _ adapters: [String], to output: String, _ options: MergeOptions = MergeOptions()
  ) throws -> MergeForecast {
    try planMerge(
      base: base(), adapters: adapters.map { try WeightedAdapter(path: $0) }, output: output,
      options: options)
  }

  @Test(arguments: [
    ("out", OutputForm.directory()), ("shards", .directory(maximumShardByteCount: 7_000)),
    ("torch", .pyTorchDirectory(maximumShardByteCount: 7_000)), ("out.h5", .hdf5()),
    ("out.gguf", .gguf()), ("parts.gguf", .gguf(nil, maximumShardByteCount: 7_000)),
    ("out.safetensors", .safetensorsFile), ("out.npz", .numPy(.archive)),
  ])
  func `says what the merge then does, and writes nothing`(name: String, form: OutputForm) throws {
    var options = MergeOptions(form: form)
    options.allowsLoss = true
    let forecast = try plan([adapter], to: space(name), options)
    #expect(space.names == [])

    let receipt = try merge(
      base: base(), adapters: [WeightedAdapter(path: adapter)], output: space(name),
      options: options)
    #expect(forecast.tensors.map(\.info.name) == receipt.entries.map(\.name))
    #expect(forecast.tensors.map(\.ranks) == receipt.entries.map(\.ranks))
    #expect(forecast.copiedCount == receipt.untouchedCount)
    #expect(forecast.byteCount == receipt.byteCount)
    #expect(forecast.losses == receipt.losses)
    #expect(forecast.notes == receipt.notes)
    let isFolder = Directory.exists(at: space(name))
    #expect(
      try forecast.fileNames.sorted() == (isFolder ? space.names(in: space(name)) : space.names))
    if name == "shards" || name == "parts.gguf" { #expect(forecast.fileNames.count > 2) }
    let made = isFolder ? name : forecast.fileNames[0]
    #expect(
      try OpenedCheckpoint(path: space(made)).reader.tensors.count == forecast.tensorCount)
  }

  @Test func `counts what is read`() throws {
    let forecast = try plan([adapter, adapter], to: space("out"))
    let bytes = try OpenedCheckpoint(path: adapter).reader.tensors.reduce(0) { $0 + $1.byteCount }
    #expect(forecast.adapterByteCounts == [bytes, bytes])
    #expect(try forecast.baseByteCount == base().reader.tensors.reduce(0) { $0 + $1.byteCount })
    #expect(forecast.tensors.allSatisfy { $0.ranks == [8, 8] && !$0.isReplaced })
  }

  @Test func `a thread more takes the buffers of its own`() throws {
    let counts = try [1, 2, 5].map {
      try plan([adapter], to: space("out"), MergeOptions(threadCount: $0)).bufferByteCount
    }
    // As many elements of 8, 4 and 8 bytes as a tile has.
    let tile = 20 << 18
    #expect(counts[0] > tile && counts[0] < 2 * tile)
    #expect(counts[1] - counts[0] >= tile)
    #expect(counts[2] - counts[1] >= 3 * tile)
  }

  @Test(arguments: ["no/out", "no/out.h5", "theirs", "out.safetensors", "taken.h5"])
  func `ends with the error that the merge ends with`(name: String) throws {
    _ = try space.copy(adapter, to: "theirs")
    _ = try space.write(Array("my notes".utf8), as: "taken.h5")
    let names = space.names
    let planned = #expect(throws: StorageError.self) { _ = try plan([adapter], to: space(name)) }
    let merged = #expect(throws: StorageError.self) {
      try merge(
        base: base(), adapters: [WeightedAdapter(path: adapter)], output: space(name))
    }
    #expect(planned == merged)
    #expect(space.names == names)
  }

  @Test func `an adapter that doesn't fit is found`() throws {
    #expect(throws: AdapterError.self) { try plan([golden("lora/gpt2")], to: space("out")) }
  }
}
