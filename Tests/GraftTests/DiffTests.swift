import Foundation
import Graft
import Testing

@Suite struct `Comparing two checkpoints` {
  private let workspace = Workspace()

  private func write(_ tensors: [(TensorName, DType, [UInt8])], to name: String) throws
    -> OpenedCheckpoint
  {
    let infos = try tensors.map { name, dtype, bytes in
      try TensorInfo(name: name, dtype: dtype, shape: [bytes.count / dtype.layout.bytes])
    }
    let file = try AtomicFile(path: workspace(name))
    let writer = try SafetensorsWriter(infos, to: file.output)
    for (index, info) in writer.tensors.enumerated() {
      let bytes = try #require(tensors.first { $0.0 == info.name }).2
      try writer.write(bytes.rawBytes, of: index, at: 0)
    }
    try writer.finish()
    try file.commit()
    return try OpenedCheckpoint(path: workspace(name))
  }

  private func floats(_ values: [Float]) -> [UInt8] {
    values.flatMap { value in
      (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> ($0 * 8)) }
    }
  }

  @Test func `finds nothing between a model and itself`() throws {
    let model = try OpenedCheckpoint(path: golden("families/qwen3"))
    let result = try diff(model, model)
    #expect(result.isWithinTolerance)
    #expect(result.tensors.allSatisfy { $0.isEqual && $0.values?.maximumError == 0 })
    #expect(result.files.allSatisfy { $0.finding == .equal })
  }

  @Test func `computes errors and the cosine`() throws {
    let a = try write([("w", .f32, floats([3, 4, 0, 0]))], to: "a.safetensors")
    let b = try write([("w", .f32, floats([3, 3, 1, 0]))], to: "b.safetensors")
    let values = try #require(try diff(a, b).tensors.first?.values)
    #expect(values.maximumError == 1)
    #expect(abs(values.relativeError - 2.0.squareRoot() / 5) < 1e-15)
    #expect(abs(values.cosine - 21 / (5 * 19.0.squareRoot())) < 1e-15)
    #expect(values.differingCount == 2)
  }

  @Test func `takes the tolerance for the largest difference`() throws {
    let a = try write([("w", .f32, floats([1, 2]))], to: "a.safetensors")
    let b = try write([("w", .f32, floats([1, 2.5]))], to: "b.safetensors")
    #expect(try !diff(a, b).isWithinTolerance)
    #expect(try !diff(a, b, tolerance: 0.49).isWithinTolerance)
    #expect(try diff(a, b, tolerance: 0.5).isWithinTolerance)
  }

  @Test func `takes equal NaNs and infinities for equal, and no tolerance for others`() throws {
    let a = try write(
      [("w", .f32, floats([.nan, .infinity, -.infinity, 1]))], to: "a.safetensors")
    let same = try write(
      [
        (
          "w", .f64,
          [Double.nan, .infinity, -.infinity, 1].flatMap { value in
            (0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> ($0 * 8)) }
          }
        )
      ], to: "b.safetensors")
    let other = try write(
      [("w", .f32, floats([.nan, 1, -.infinity, 1]))], to: "c.safetensors")
    #expect(try diff(a, same).isWithinTolerance)
    let result = try diff(a, other, tolerance: .greatestFiniteMagnitude)
    #expect(!result.isWithinTolerance)
    #expect(result.tensors.first?.values?.incomparableCount == 1)
  }

  @Test func `compares numbers across dtypes`() throws {
    let f16: [UInt8] = [0x00, 0x3C, 0x00, 0xC0]
    let bf16: [UInt8] = [0x80, 0x3F, 0x00, 0xC0]
    let a = try write([("w", .f16, f16), ("x", .i8, [1, 254])], to: "a.safetensors")
    let b = try write([("w", .bf16, bf16), ("x", .f32, floats([1, -2]))], to: "b.safetensors")
    #expect(try diff(a, b).isWithinTolerance)
  }

  /// The values of torch.float8_e4m3fn and its relatives for these bytes.
  @Test(arguments: [
    (DType.f8E4M3, UInt8(0x7E), Float(448)), (.f8E4M3, 0x01, 0x1p-9), (.f8E4M3, 0xB8, -1),
    (.f8E5M2, 0x7B, 57344), (.f8E5M2, 0x01, 0x1p-16), (.f8E5M2, 0x7C, .infinity),
    (.f8E4M3FNUZ, 0x7F, 240), (.f8E4M3FNUZ, 0x80, .nan), (.f8E5M2FNUZ, 0x7F, 57344),
    (.f8E8M0, 0x80, 2), (.f8E8M0, 0xFF, .nan),
  ])
  func `knows 8-bit floats`(dtype: DType, bits: UInt8, value: Float) throws {
    let a = try write([("w", dtype, [bits])], to: "a.safetensors")
    let b = try write([("w", .f32, floats([value]))], to: "b.safetensors")
    #expect(try diff(a, b).tensors.first?.isEqual == true)
  }

  @Test func `lists what only one side has`() throws {
    let a = try write([("v", .u8, [1]), ("w", .u8, [1])], to: "a.safetensors")
    let b = try write([("w", .u8, [1]), ("x", .u8, [1])], to: "b.safetensors")
    let result = try diff(a, b)
    #expect(result.onlyInFirst.map(\.name) == ["v"])
    #expect(result.onlyInSecond.map(\.name) == ["x"])
    #expect(!result.isWithinTolerance)
  }

  @Test func `finds changed companion files`() throws {
    let path = try workspace.copy(golden("families/qwen3"), to: "model")
    try "{}".write(toFile: path + "/generation_config.json", atomically: true, encoding: .utf8)
    let result = try diff(
      OpenedCheckpoint(path: golden("families/qwen3")), OpenedCheckpoint(path: path))
    #expect(result.tensors.allSatisfy { $0.isEqual })
    let changed = result.files.filter { $0.finding != .equal }
    #expect(changed.map(\.name) == ["generation_config.json"])
    #expect(changed.map(\.finding) == [.different])
  }

  @Test(arguments: [1, 2, 7])
  func `gives the same sums with any number of threads`(threads: Int) throws {
    let first = try OpenedCheckpoint(path: golden("families/llama-tied"))
    let second = try OpenedCheckpoint(path: golden("merge/llama-tied"))
    let one = try diff(first, second, threadCount: 1).json
    #expect(try diff(first, second, threadCount: threads).json == one)
  }
}
