import Foundation
import Graft
import TestSupport
import Testing

/// Matrices that one side stores as [in, out] and the other as [out, in].
extension `Comparing two checkpoints` {
  /// A matrix whose values are small whole numbers, which every float holds, and its transpose.
  private func matrix(_ rows: Int, _ columns: Int) -> (plain: [Float], turned: [Float]) {
    func value(_ row: Int, _ column: Int) -> Float { Float((row * 7 + column * 3) % 251) }
    return (
      (0..<rows * columns).map { value($0 / columns, $0 % columns) },
      (0..<rows * columns).map { value($0 % rows, $0 / rows) }
    )
  }

  private func bf16(_ values: [Float]) -> [UInt8] {
    values.flatMap { [UInt8(truncatingIfNeeded: $0.bitPattern >> 16), UInt8($0.bitPattern >> 24)] }
  }

  @Test func `compares matrices of reversed shapes as transposes where that is asked for`() throws {
    // More than one block each way, and none of them whole at the ends.
    let values = matrix(600, 1100)
    let a = try write([("w", .f32, [600, 1100], floats(values.plain))], to: "a.safetensors")
    let b = try write([("w", .bf16, [1100, 600], bf16(values.turned))], to: "b.safetensors")
    let plain = try #require(try diff(a, b).tensors.first)
    #expect(!plain.isEqual)
    #expect(plain.isReversed)
    #expect(plain.values == nil)
    let options = DiffOptions(comparesTransposes: true)
    let turned = try #require(try diff(a, b, options: options).tensors.first)
    #expect(turned.isEqual)
    #expect(turned.isTransposed)
    #expect(turned.json["transposed"]?.bool == true)
  }

  @Test func `computes the errors of a transpose as those of the matrix`() throws {
    let a = try write([("w", .f32, [2, 2], floats([3, 4, 0, 0]))], to: "a.safetensors")
    let b = try write([("w", .f32, [2, 2], floats([3, 1, 3, 0]))], to: "b.safetensors")
    let options = DiffOptions(comparesTransposes: true)
    let entry = try #require(try diff(a, b, options: options).tensors.first)
    #expect(entry.isTransposed)
    let values = try #require(entry.values)
    #expect(values.maximumError == 1)
    #expect(abs(values.relativeError - 2.0.squareRoot() / 5) < 1e-15)
    #expect(values.differingCount == 2)
  }

  @Test func `takes a square matrix as it stands where that is nearer`() throws {
    let a = try write([("w", .f32, [2, 2], floats([1, 2, 3, 4]))], to: "a.safetensors")
    let b = try write([("w", .f32, [2, 2], floats([1, 2, 3, 5]))], to: "b.safetensors")
    let options = DiffOptions(comparesTransposes: true)
    let entry = try #require(try diff(a, b, options: options).tensors.first)
    #expect(!entry.isTransposed)
    #expect(entry.values?.maximumError == 1)
  }

  @Test func `knows by the configuration that GPT-2 stores its weights transposed`() throws {
    let model = try OpenedCheckpoint(path: golden("families/gpt2"))
    let reader = model.reader
    let tensors = try reader.tensors.map { info in
      let bits = try reader.bits(info.name, as: UInt32.self)
      let isTurned = info.name.hasSuffix("c_fc.weight")
      let shape: Shape = isTurned ? [info.shape[1], info.shape[0]] : info.shape
      let ordered =
        !isTurned
        ? bits
        : (0..<bits.count).map { bits[$0 % shape[1] * info.shape[1] + $0 / shape[1]] }
      return (info.name, info.dtype, shape, floats(ordered.map { Float(bitPattern: $0) }))
    }
    let other = try write(tensors, to: "linear.safetensors")
    let result = try diff(model, other)
    #expect(result.tensors.allSatisfy { $0.isEqual })
    #expect(result.tensors.filter(\.isTransposed).count == 2)
    #expect(
      result.tensors.filter(\.isTransposed).allSatisfy { $0.name.hasSuffix("c_fc.weight") })
  }
}
