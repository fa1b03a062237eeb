import GraftCore
import GraftHDF5
import Testing

@Suite struct `Damaged HDF5 files` {
  /// Opens a file and reads all of it; nil when an error says why not.
  private func read(_ path: String) -> [[UInt8]]? {
    do {
      let reader = try HDF5Reader(path: path)
      let tensors = try reader.tensors.indices.map { try bytes(of: $0, reader) }
      return try tensors + reader.files.map { try $0.bytes(in: 0..<$0.byteCount) }
    } catch {
      return nil
    }
  }

  @Test(arguments: [HDF5Compression.none, .zstd()])
  func `a file cut anywhere is an error`(compression: HDF5Compression) throws {
    let scratch = try Scratch()
    let whole = scratch.path + "/whole.h5"
    try write(
      [try Sample("a.weight", .f32, [40, 125]), try Sample("a.bias", .bf16, [40])], to: whole,
      files: [HDF5Attachment(name: "config.json", bytes: Array("{}".utf8))],
      compression: compression)
    let all = try contents(whole)
    for length in stride(from: 0, to: all.count, by: max(1, all.count / 256)) {
      try AtomicFile.write(Array(all[..<length]), to: scratch.path + "/cut.h5")
      #expect(read(scratch.path + "/cut.h5") == nil, "\(length)")
    }
  }
}
