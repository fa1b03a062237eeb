public import GraftCore

/// A GGUF checkpoint being written in several files, of which the first has the keys.
///
/// The layout is that of llama.cpp's `gguf-split`: `prefix-00001-of-00003.gguf`, each with its number, the number of files
/// and the number of all tensors.
public final class SplitGGUFWriter: CheckpointWriter {
  /// The tensors, file after file.
  public let tensors: [TensorInfo]
  private let writers: [GGUFWriter]
  private let places: [(file: Int, tensor: Int)]

  /// The names of the files that tensors fill, beside each other; nil where they fit in one.
  ///
  /// - Parameter path: Where one file would be; its suffix `.gguf` gives way.
  public static func paths(for plan: ShardPlan, at path: String) -> [String]? {
    let count = plan.shards.count
    guard count > 1 else { return nil }
    let prefix = path.hasSuffix(".gguf") ? String(path.dropLast(5)) : path
    return (0..<count).map { prefix + GGUFSplit.suffix($0, of: count) }
  }

  /// Lays all files out.
  ///
  /// - Parameter files: As many as the plan has shards.
  public init(
    _ tensors: [TensorInfo], entries: [(key: String, value: GGUFValue)], plan: ShardPlan,
    to files: [OutputFile]
  ) throws(StorageError) {
    precondition(files.count == plan.shards.count, "a file for each shard")
    guard files.count <= GGUFLimits.shards else {
      throw StorageError(
        .limitExceeded(
          limit: "files of a split checkpoint (gguf G-18)", maximum: GGUFLimits.shards,
          found: String(files.count)),
        file: files[0].target, remedy: "give a larger --max-shard-size")
    }
    try Self.checkNamesDiffer(tensors, file: files[0].target)
    var writers: [GGUFWriter] = []
    for (number, (shard, file)) in zip(plan.shards, files).enumerated() {
      // 16 bits are what other programs read; Graft reads any integer.
      let width = files.count > Int(UInt16.max) ? 32 : 16
      let split: [(key: String, value: GGUFValue)] = [
        ("split.no", .unsigned(UInt64(number), bits: width)),
        ("split.count", .unsigned(UInt64(files.count), bits: width)),
        ("split.tensors.count", .signed(Int64(tensors.count), bits: 32)),
      ]
      writers.append(
        try GGUFWriter(
          shard.map { tensors[$0] }, entries: (number == 0 ? entries : []) + split, to: file))
    }
    self.writers = writers
    self.tensors = writers.flatMap(\.tensors)
    places = writers.enumerated().flatMap { file, writer in
      writer.tensors.indices.map { (file: file, tensor: $0) }
    }
  }

  /// Writes bytes of a tensor.
  ///
  /// - Precondition: the bytes lie inside the tensor.
  public func write(_ bytes: RawSpan, of tensor: Int, at byteOffset: Int) throws(StorageError) {
    let place = places[tensor]
    try writers[place.file].write(bytes, of: place.tensor, at: byteOffset)
  }

  /// Copies a whole tensor from a file.
  public func copy(_ extent: FileExtent, to tensor: Int) throws(StorageError) {
    let place = places[tensor]
    try writers[place.file].copy(extent, to: place.tensor)
  }

  /// Checks that every byte was given.
  public func finish() throws(StorageError) {
    for writer in writers { try writer.finish() }
  }

  private static func checkNamesDiffer(
    _ tensors: [TensorInfo], file: String
  ) throws(StorageError) {
    var names: Set<TensorName> = []
    for tensor in tensors where !names.insert(tensor.name).inserted {
      throw StorageError(
        .notRepresentable(what: "two tensors of one name (gguf G-12)", inFormat: "GGUF"),
        file: file, tensor: tensor.name)
    }
  }
}
