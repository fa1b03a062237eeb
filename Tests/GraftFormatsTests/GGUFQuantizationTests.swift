import GraftCore
import GraftFormats
import GraftKernels
import TestSupport
import Testing

/// Blocks and their values as the `gguf` package has them.
struct GGUFQuantizationTests {
  static let types: [DType] = [
    .f16, .bf16, .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .q2K, .q3K, .q4K, .q5K, .q6K,
    .iq4NL, .iq4XS, .mxfp4,
  ]
  let golden: SafetensorsReader

  init() throws {
    golden = try SafetensorsReader(path: Repository.path("Fixtures/golden/gguf/blocks.safetensors"))
  }

  @Test(arguments: types, Quantization.InstructionSet.available)
  func `gives the bits of the gguf package`(
    dtype: DType, instructions: Quantization.InstructionSet
  ) throws {
    let blocks = try bytes("\(dtype).blocks")
    let expected: [UInt32] = try words("\(dtype).values")
    #expect(blocks.count / dtype.layout.bytes >= 24)
    let values = dequantize(blocks, dtype, instructions)
    let different = values.indices.filter { values[$0] != expected[$0] }
    #expect(
      different.isEmpty,
      "\(different.count): \(different.prefix(3).map { ($0, String(values[$0], radix: 16), String(expected[$0], radix: 16)) })"
    )
  }

  @Test(arguments: types)
  func `the vector versions equal the scalar twin on random blocks`(dtype: DType) {
    var random = SplitMix(state: 7)
    let blocks = (0..<dtype.layout.bytes * 999).map { _ in UInt8(truncatingIfNeeded: random.next())
    }
    let scalar = dequantize(blocks, dtype, .scalar)
    for instructions in Quantization.InstructionSet.available {
      let values = dequantize(blocks, dtype, instructions)
      // Which of two NaNs a sum keeps is the instruction's choice.
      #expect(
        zip(values, scalar).allSatisfy {
          $0 == $1 || Float(bitPattern: $0).isNaN && Float(bitPattern: $1).isNaN
        })
    }
  }

  @Test(arguments: [DType.bf16, .f16], Quantization.InstructionSet.available)
  func `rounds as torch does`(dtype: DType, instructions: Quantization.InstructionSet) throws {
    let values = try bytes("round.f32")
    let expected = try bytes(dtype == .bf16 ? "round.bf16" : "round.f16")
    var narrow = [UInt8](repeating: 0, count: values.count / 2)
    narrow.withMutableRawBytes { narrow in
      values.withRawBytes { Quantization.narrow($0, to: dtype, into: &narrow, using: instructions) }
    }
    #expect(narrow == expected)
  }

  private func dequantize(
    _ blocks: [UInt8], _ dtype: DType, _ instructions: Quantization.InstructionSet
  ) -> [UInt32] {
    let count = blocks.count / dtype.layout.bytes * dtype.layout.elements
    var values = [UInt32](repeating: 0xABAB_ABAB, count: count)
    values.withMutableRawBytes { values in
      blocks.withRawBytes {
        Quantization.dequantize($0, dtype, into: &values, using: instructions)
      }
    }
    return values
  }

  private func bytes(_ name: String) throws -> [UInt8] {
    let tensor = try #require(golden.index(of: TensorName(name)))
    let extent = try #require(golden.extent(of: tensor))
    return try extent.file.bytes(at: extent.range.lowerBound, count: extent.range.count)
  }

  private func words(_ name: String) throws -> [UInt32] {
    let bytes = try bytes(name)
    return stride(from: 0, to: bytes.count, by: 4).map { start in
      (0..<4).reduce(0) { $0 | UInt32(bytes[start + $1]) << UInt32(8 * $1) }
    }
  }
}

/// A small generator of the tests' own: the same numbers everywhere.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
    return word ^ word >> 31
  }
}
