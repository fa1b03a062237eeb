import Foundation
import TestSupport
import Testing

/// A model of gigabytes that takes no room on the disk, handled in little memory.
@Suite(.serialized) struct `Peak memory` {
  private static let limit = 128 << 20
  private let scratch = TemporaryFolder()
  /// Rows of each of the 12 matrices.
  private let rows = 24576
  private let columns = 4096

  /// Writes a header and lets the data be a hole: all values are zero.
  private func makeSparseModel() throws -> String {
    let size = rows * columns * 2
    let entries = (0..<12).map { layer in
      #""model.layers.\#(layer).mlp.up_proj.weight":{"dtype":"BF16","shape":[\#(rows),\#(columns)],"#
        + #""data_offsets":[\#(layer * size),\#((layer + 1) * size)]}"#
    }
    var header = Data(("{" + entries.joined(separator: ",") + "}").utf8)
    header.append(Data(repeating: 0x20, count: (8 - header.count % 8) % 8))
    var file = Data((0..<8).map { UInt8(truncatingIfNeeded: header.count >> ($0 * 8)) })
    file.append(header)
    let path = scratch("sparse.safetensors")
    try file.write(to: URL(filePath: path))
    let handle = try FileHandle(forUpdating: URL(filePath: path))
    try handle.truncate(atOffset: UInt64(file.count + 12 * size))
    try handle.close()
    return path
  }

  private func makeAdapter() throws -> String {
    let folder = scratch.url("adapter")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let config = #"{"peft_type":"LORA","r":1,"lora_alpha":1,"target_modules":["up_proj"]}"#
    try Data(config.utf8).write(to: folder.appending(path: "adapter_config.json"))
    let name = "base_model.model.model.layers.0.mlp.up_proj.lora_"
    let (a, b) = (columns * 4, rows * 4)
    let header =
      #"{"\#(name)A.weight":{"dtype":"F32","shape":[1,\#(columns)],"data_offsets":[0,\#(a)]},"#
      + #""\#(name)B.weight":{"dtype":"F32","shape":[\#(rows),1],"data_offsets":[\#(a),\#(a + b)]}}"#
    var file = Data((0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> ($0 * 8)) })
    file.append(Data(header.utf8))
    let one = withUnsafeBytes(of: Float(1)) { Data($0) }
    for _ in 0..<(a + b) / 4 { file.append(one) }
    try file.write(to: folder.appending(path: "adapter_model.safetensors"))
    return folder.path
  }

  @Test func `stays under 128 MiB for 2 GiB of tensors`() throws {
    let model = try makeSparseModel()
    let compared = try Graft.run("diff", model, model, "--quiet")
    #expect(compared.status == 0)
    #expect(compared.output == "12 tensors equal\n")
    #expect(compared.peakBytes > 0 && compared.peakBytes < Self.limit)
    let converted = try Graft.run(
      "convert", model, scratch("small.h5"), "--dtype", "f16", "--compress", "zstd:1", "--quiet")
    #expect(converted.status == 0)
    #expect(converted.peakBytes > 0 && converted.peakBytes < Self.limit)
    let merged = try Graft.run(
      "merge", model, try makeAdapter(), "--out", scratch("merged.h5"), "--compress", "zstd:1",
      "--quiet")
    #expect(merged.status == 0, "\(merged.error)")
    #expect(merged.peakBytes > 0 && merged.peakBytes < Self.limit)
  }

  @Test func `stays under 128 MiB for an archive of many deflated arrays`() throws {
    let archive = try makeDeflatedArrays(count: 40)
    let verified = try Graft.run("verify", archive)
    #expect(verified.status == 0, "\(verified.error)")
    #expect(verified.peakBytes > 0 && verified.peakBytes < Self.limit)
  }

  /// Writes an archive of arrays of 8 MiB of zeros, which take 53 KB each.
  private func makeDeflatedArrays(count: Int) throws -> String {
    let zeros = 8 << 20
    let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(zeros / 4),), }"
    let header: Data =
      [0x93] + Data("NUMPY".utf8) + [1, 0, UInt8(text.utf8.count), 0] + Data(text.utf8)
    let stored = deflated(header, zeros: zeros)
    var (file, directory) = (Data(), Data())
    func number(_ value: Int, _ width: Int) -> Data {
      Data((0..<width).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) })
    }
    let checksum = checksum(header + Data(count: zeros))
    for index in 0..<count {
      let name = Data("a\(index).npy".utf8)
      var common = Data([20, 0, 0, 0, 8, 0, 0, 0, 0, 0]) + number(Int(checksum), 4)
      common += number(stored.count, 4) + number(header.count + zeros, 4) + number(name.count, 2)
      directory += Data("PK\u{1}\u{2}".utf8) + [20, 0] + common + [0, 0] + Data(count: 10)
      directory += number(file.count, 4) + name
      file += Data("PK\u{3}\u{4}".utf8) + common + [0, 0] + name + stored
    }
    let start = file.count
    file += directory + Data("PK\u{5}\u{6}".utf8) + Data(count: 4)
    file += number(count, 2) + number(count, 2) + number(directory.count, 4) + number(start, 4)
    file += [0, 0]
    let path = scratch("zeros.npz")
    try file.write(to: URL(filePath: path))
    return path
  }

  /// Deflate's block of plain bytes for the start, and one of a zero and copies of 258 zeros each for the rest.
  private func deflated(_ start: Data, zeros: Int) -> Data {
    var result = Data([0, UInt8(start.count), 0, ~UInt8(start.count), 0xFF]) + start
    var (byte, filled) = (UInt8(0), 0)
    func put(_ bits: String) {
      for bit in bits.utf8 {
        if bit == UInt8(ascii: "1") { byte |= 1 << UInt8(filled) }
        filled += 1
        if filled == 8 { result.append(byte) }
        if filled == 8 { (byte, filled) = (0, 0) }
      }
    }
    let zero = "00110000"
    put("110" + zero)
    for _ in 0..<(zeros - 1) / 258 { put("1100010100000") }
    for _ in 0..<(zeros - 1) % 258 { put(zero) }
    put("0000000")
    if filled > 0 { result.append(byte) }
    return result
  }

  /// The CRC-32 of bytes.
  private func checksum(_ bytes: Data) -> UInt32 {
    let table = (0..<256).map { byte in
      (0..<8).reduce(UInt32(byte)) { value, _ in value >> 1 ^ (value & 1) * 0xEDB8_8320 }
    }
    return ~bytes.reduce(UInt32.max) { table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] ^ $0 >> 8 }
  }
}
