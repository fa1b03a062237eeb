import GraftCore
import GraftHDF5
import TestSupport
import Testing

@Suite struct `HDF5 on several threads` {
  /// Tensors that are several chunks, and tiles that aren't.
  private let samples: [Sample]
  private let tileBytes = 400_000

  init() throws {
    samples = try (0..<6).map { number in
      try Sample(TensorName("t\(number)"), .f32, [300 + number, 1500], seed: UInt8(number))
    }
  }

  private func tiles() -> [(tensor: Int, range: Range<Int>)] {
    samples.indices.flatMap { tensor in
      let count = samples[tensor].bytes.count
      return stride(from: 0, to: count, by: tileBytes).map {
        (tensor, $0..<min($0 + tileBytes, count))
      }
    }
  }

  private func write(to path: String, inOrder: Bool) async throws -> [UInt8] {
    let file = try AtomicFile(path: path)
    let writer = try HDF5Writer(
      file.output, tensors: samples.map(\.info),
      files: [HDF5Attachment(name: "config.json", bytes: Array(repeating: 7, count: 50_000))],
      compression: .zstd(level: 1))
    let samples = samples
    if inOrder {
      for tile in tiles() {
        let bytes = Array(samples[tile.tensor].bytes[tile.range])
        try writer.write(bytes, of: tile.tensor, at: tile.range.lowerBound)
      }
    } else {
      try await withThrowingTaskGroup { group in
        for tile in tiles().reversed() {
          group.addTask {
            let bytes = Array(samples[tile.tensor].bytes[tile.range])
            try writer.write(bytes, of: tile.tensor, at: tile.range.lowerBound)
          }
        }
        try await group.waitForAll()
      }
    }
    try writer.finish()
    try file.commit()
    return try contents(path)
  }

  @Test func `the order in which tiles come doesn't change the file`() async throws {
    let scratch = TemporaryFolder()
    let ordered = try await write(to: scratch.path + "/a.h5", inOrder: true)
    #expect(try await write(to: scratch.path + "/b.h5", inOrder: false) == ordered)
  }

  @Test func `tiles read at once are those that were written`() async throws {
    let scratch = TemporaryFolder()
    _ = try await write(to: scratch.path + "/a.h5", inOrder: true)
    let reader = try HDF5Reader(path: scratch.path + "/a.h5")
    let samples = samples
    try await withThrowingTaskGroup { group in
      for round in 0..<3 {
        for tile in tiles() {
          group.addTask {
            let found = try bytes(of: tile.tensor, in: tile.range, reader)
            #expect(found == Array(samples[tile.tensor].bytes[tile.range]), "round \(round)")
          }
        }
      }
      try await group.waitForAll()
    }
  }

  /// A group so large that the heap of its links has tables below tables.
  @Test func `thousands of tensors in one group are found in order`() throws {
    let scratch = TemporaryFolder()
    let long = String(repeating: "a_rather_long_name_", count: 6)
    let infos = try (0..<6000).map {
      try TensorInfo(name: TensorName("block.\(long)\($0)"), dtype: .u8, shape: [1])
    }
    let values = infos.indices.map { UInt8(truncatingIfNeeded: $0) }
    let file = try AtomicFile(path: scratch.path + "/x.h5")
    let writer = try HDF5Writer(file.output, tensors: infos)
    for tensor in infos.indices {
      try writer.write([values[tensor]], of: tensor, at: 0)
    }
    try writer.finish()
    try file.commit()
    let reader = try HDF5Reader(path: scratch.path + "/x.h5")
    #expect(reader.tensors == infos)
    for tensor in stride(from: 0, to: infos.count, by: 397) {
      #expect(try bytes(of: tensor, reader) == [values[tensor]])
    }
  }
}
