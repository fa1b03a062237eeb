import Foundation
import Testing

/// A model of gigabytes that takes no room on the disk, handled in little memory.
@Suite(.serialized) struct `Peak memory` {
  private static let limit = 128 << 20
  private let scratch = Scratch()
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
}
