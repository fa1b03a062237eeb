internal import GraftCore
internal import GraftModels

/// The memory from which a compiled graph reads a batch.
struct BatchInputs {
  static let targets: TensorName = "input.targets"

  /// How the graph arranges the tokens.
  let arrangement: Arrangement
  /// What the graph binds.
  let bindings: [TensorName: MemorySlice]

  /// Allocates inputs for batches of windows, packed ones or not.
  ///
  /// - Throws: ``StorageError`` when memory runs out.
  init(batchSize: Int, length: Int, packs: Bool) throws(StorageError) {
    arrangement = Self.arrangement(batchSize: batchSize, length: length, packs: packs)
    var names = [DecoderGraph.Input.tokens, Self.targets]
    if packs { names += [DecoderGraph.Input.positions, DecoderGraph.Input.segments] }
    var bindings: [TensorName: MemorySlice] = [:]
    for name in names {
      bindings[name] = try MemorySlice(allocating: .i32, [arrangement.tokenCount])
    }
    self.bindings = bindings
  }

  /// The arrangement of batches of windows: the cheap one unless examples share windows.
  ///
  /// A window that isn't full needs no segments: its padding comes last, and attention looks back only.
  static func arrangement(batchSize: Int, length: Int, packs: Bool) -> Arrangement {
    packs
      ? .packed(batch: batchSize, sequence: length)
      : .sequences(batch: batchSize, sequence: length)
  }

  /// Bytes of all inputs.
  var byteCount: Int { bindings.count * arrangement.tokenCount * 4 }

  /// Puts a batch where the graph reads it.
  func load(_ batch: Batch) {
    bindings[DecoderGraph.Input.tokens]?.replaceElements(batch.ids)
    bindings[Self.targets]?.replaceElements(batch.targets)
    bindings[DecoderGraph.Input.positions]?.replaceElements(batch.positions)
    bindings[DecoderGraph.Input.segments]?.replaceElements(batch.segments)
  }
}
