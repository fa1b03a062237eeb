import Glibc
import GraftCore
import GraftHDF5
import TestSupport
import Testing

/// Damaged files end in an error or in content that can be read whole; a trap would end the test run.
@Suite struct `Damaged HDF5 files` {
  /// Opens a file and reads all of it; nil when an error says why not.
  private func content(of path: String) -> [[UInt8]]? {
    try? everything(in: HDF5Reader(path: path))
  }

  private func everything(in reader: HDF5Reader) throws -> [[UInt8]] {
    for file in reader.files + reader.shards { _ = try file.bytes(in: 0..<file.byteCount) }
    _ = try reader.vocabulary()
    let annotations = reader.annotations(of: Array(reader.tensors.indices), inKeras: true)
    for group in annotations.groups { _ = try annotations.attributes(ofGroup: group) }
    for tensor in reader.tensors.indices { _ = try annotations.attributes(ofTensor: tensor) }
    return try reader.tensors.indices.map { try bytes(of: $0, reader) }
  }

  /// The seconds of this thread on its processor.
  private var processorSeconds: Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// A file in each of the ways in which libraries write them.
  static let kinds: [String] =
    [
      "Formats/hdf5/accept/version-1.8.h5", "Formats/hdf5/accept/latest.h5",
      "Formats/hdf5/accept/old-chunks.h5", "Formats/hdf5/accept/fixed-array.h5",
      "Formats/hdf5/accept/extensible-array.h5", "Formats/hdf5/accept/named-type.h5",
      "Formats/hdf5/accept/lzf.h5", "Fixtures/golden/hdf5/tree.h5",
      "Fixtures/golden/hdf5/latest.h5", "Fixtures/golden/hdf5/attributes.h5",
      "Fixtures/golden/keras/model.h5", "Fixtures/golden/keras/model.weights.h5", "own",
      "own compressed",
    ]

  /// The bytes of a kind.
  private func original(_ kind: String, _ scratch: TemporaryFolder) throws -> [UInt8] {
    guard kind.hasPrefix("own") else { return try contents(Repository.root + "/" + kind) }
    try write(
      [
        try Sample("a.weight", .f32, [40, 125]), try Sample("a.bias", .bf16, [40]),
        try Sample("b", .f16, [200, 100]),
      ], to: scratch.path + "/own.h5", metadata: [MetadataEntry(key: "k", value: "v")],
      files: [HDF5Attachment(name: "config.json", bytes: Array("{}".utf8))],
      vocabulary: [[1], [2, 3]], compression: kind == "own" ? .none : .zstd())
    return try contents(scratch.path + "/own.h5")
  }

  @Test(arguments: kinds)
  func `a file cut anywhere is an error`(kind: String) throws {
    let scratch = TemporaryFolder()
    let whole = try original(kind, scratch)
    for length in stride(from: 0, to: whole.count, by: max(1, whole.count / 128)) {
      try overwrite(scratch.path + "/cut.h5", with: Array(whole[..<length]))
      #expect(content(of: scratch.path + "/cut.h5") == nil, "\(length)")
    }
  }

  @Test(arguments: kinds)
  func `a file damaged anywhere is an error or can be read whole`(kind: String) throws {
    let scratch = TemporaryFolder()
    let whole = try original(kind, scratch)
    var random = Xorshift(seed: kind.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) })
    var accepted = 0
    var slowest = 0.0
    for _ in 0..<400 {
      var mutant = whole
      random.damage(&mutant)
      try overwrite(scratch.path + "/mutant.h5", with: mutant)
      let began = processorSeconds
      if content(of: scratch.path + "/mutant.h5") != nil { accepted += 1 }
      slowest = max(slowest, processorSeconds - began)
    }
    // Elements without a checksum may change; and some of what was tried must have been noticed.
    #expect(accepted < 400)
    #expect(slowest < 1)
  }

  /// In the format of 1.8 and later each piece of structure has a checksum.
  @Test(arguments: ["Formats/hdf5/accept/version-1.8.h5", "Formats/hdf5/accept/latest.h5"])
  func `no bit of structure with a checksum can change unnoticed`(kind: String) throws {
    let scratch = TemporaryFolder()
    let whole = try contents(Repository.root + "/" + kind)
    let expected: [UInt8] = [0, 0, 0, 0, 0, 0, 0x80, 0x3F, 0, 0, 0, 0x40, 0, 0, 0x40, 0x40]
    for bit in 0..<8 * whole.count {
      var mutant = whole
      mutant[bit / 8] ^= 1 << UInt8(bit % 8)
      try overwrite(scratch.path + "/mutant.h5", with: mutant)
      guard let found = content(of: scratch.path + "/mutant.h5") else { continue }
      // What is accepted is the tensor, or differs in the one bit of an element.
      let changed = zip(found.first ?? [], expected).reduce(0) {
        $0 + ($1.0 ^ $1.1).nonzeroBitCount
      }
      #expect(found.count == 1 && found[0].count == 16 && changed <= 1, "bit \(bit)")
    }
  }

  /// The form before 1.8 has no checksums.
  @Test(arguments: ["old-chunks", "chunk-larger", "lzf", "empty-groups", "attributes"])
  func `every bit of a file of the old form changed is an error or can be read whole`(
    name: String
  ) throws {
    let scratch = TemporaryFolder()
    let path = scratch.path + "/mutant.h5"
    let whole = try contents(Repository.root + "/Formats/hdf5/accept/\(name).h5")
    var accepted = 0
    var slowest = 0.0
    for bit in 0..<8 * whole.count {
      var mutant = whole
      mutant[bit / 8] ^= 1 << UInt8(bit % 8)
      try overwrite(path, with: mutant)
      let began = processorSeconds
      if content(of: path) != nil { accepted += 1 }
      slowest = max(slowest, processorSeconds - began)
    }
    // Elements and what nobody needs may change; much else was noticed.
    #expect(accepted > 0)
    #expect(accepted < 8 * whole.count)
    #expect(slowest < 1)
  }

  /// Of headers that are like one before, only what differs is read.
  @Test func `no bit of the structure of layers that repeat can change unnoticed`() throws {
    let scratch = TemporaryFolder()
    let path = scratch.path + "/layers.h5"
    let samples = try (0..<4).flatMap { layer in
      try ["down", "up"].map { part in
        try Sample(
          TensorName("layers.\(layer).\(part).weight"), .f32, part == "up" ? [4, 2] : [2, 4],
          seed: UInt8(layer))
      }
    }
    try write(samples, to: path)
    let whole = try contents(path)
    let reader = try HDF5Reader(path: path)
    #expect(reader.tensors == samples.map(\.info))
    #expect(content(of: path) == samples.map(\.bytes))
    for place in whole.indices {
      var mutant = whole
      mutant[place] ^= 1 << UInt8(place % 8)
      try overwrite(scratch.path + "/mutant.h5", with: mutant)
      guard let found = content(of: scratch.path + "/mutant.h5") else { continue }
      let changed = zip(found, samples).reduce(0) { sum, pair in
        sum + zip(pair.0, pair.1.bytes).reduce(0) { $0 + ($1.0 ^ $1.1).nonzeroBitCount }
      }
      #expect(found.map(\.count) == samples.map(\.bytes.count) && changed <= 1, "byte \(place)")
    }
  }
}

/// A generator of damage: the same seed gives the same files.
private struct Xorshift: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed | 1 }

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }

  /// Numbers that lengths, counts and addresses go wrong with.
  private static let extremes: [UInt64] = [
    0, 1, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF,
    0x1_0000_0000, 0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000, .max,
  ]

  /// Changes a few places: bits, bytes, whole numbers, or a piece copied from elsewhere.
  mutating func damage(_ bytes: inout [UInt8]) {
    for _ in 0..<Int.random(in: 1...4, using: &self) {
      // Most structure stands at the beginning.
      let reach = Bool.random(using: &self) ? bytes.count : min(bytes.count, 4096)
      let place = Int.random(in: 0..<reach, using: &self)
      switch Int.random(in: 0..<6, using: &self) {
      case 0, 1: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &self)
      case 2: bytes[place] = UInt8.random(in: 0...255, using: &self)
      case 3, 4:
        let value = Self.extremes.randomElement(using: &self) ?? 0
        let width = [1, 2, 4, 8].randomElement(using: &self) ?? 8
        let start = place / width * width
        for byte in 0..<width where start + byte < bytes.count {
          bytes[start + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte))
        }
      default:
        let count = min(Int.random(in: 1...64, using: &self), bytes.count - place)
        let source = Int.random(in: 0...bytes.count - count, using: &self)
        bytes.replaceSubrange(place..<place + count, with: Array(bytes[source..<source + count]))
      }
    }
  }
}
