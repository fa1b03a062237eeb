import GraftCore
import GraftFormats
import GraftKernels
import TestSupport
import Testing

/// Floats made into blocks, beside the `gguf` package and the reference's C code.
struct GGUFQuantizerTests {
  static let simple: [DType] = [.q4_0, .q4_1, .q5_0, .q5_1, .q8_0]
  static let searched: [DType] = [.q4K, .q5K, .q6K]
  /// Values of many kinds, a row each.
  let rows: [[Float]]
  let golden: SafetensorsReader

  init() throws {
    golden = try SafetensorsReader(
      path: Repository.path("Fixtures/golden/gguf/quantized.safetensors"))
    let values = try #require(golden.index(of: "values"))
    let columns = golden.tensors[values].shape.columns
    let all = try golden.contents(of: values).floats()
    rows = stride(from: 0, to: all.count, by: columns).map { Array(all[$0..<$0 + columns]) }
  }

  @Test(arguments: simple, Quantization.InstructionSet.available)
  func `gives the bytes of the gguf package`(
    dtype: DType, instructions: Quantization.InstructionSet
  ) throws {
    let index = try #require(golden.index(of: TensorName("\(dtype).blocks")))
    let extent = try #require(golden.extent(of: index))
    let expected = try extent.file.bytes(at: extent.range.lowerBound, count: extent.range.count)
    let blocks = try #require(quantize(rows.flatMap { $0 }, dtype, instructions))
    #expect(blocks.count == expected.count)
    let different = blocks.indices.filter { blocks[$0] != expected[$0] }
    #expect(
      different.isEmpty,
      "\(different.count) bytes, the first in block \(different[0] / dtype.layout.bytes)")
  }

  @Test(arguments: searched)
  func `is at least as close to the values as the reference`(dtype: DType) throws {
    let index = try #require(golden.index(of: TensorName("\(dtype).errors")))
    let errors = try golden.contents(of: index)
    for (row, values) in rows.enumerated() {
      let blocks = try #require(quantize(values, dtype, .best))
      let reference = errors.bytes.unsafeLoadUnaligned(fromByteOffset: 8 * row, as: Double.self)
      let error = relativeError(of: blocks, dtype, values)
      #expect(error <= reference, "kind \(row): \(error), the reference \(reference)")
      // What the bits allow of values without order: a step is at most a 15th, a 31st, a 63rd of the range.
      #expect(error < (dtype == .q6K ? 0.03 : dtype == .q5K ? 0.06 : 0.12), "kind \(row)")
    }
  }

  @Test(arguments: simple + searched)
  func `every instruction set gives the scalar twin's bytes, whatever stands beside a block`(
    dtype: DType
  ) throws {
    var random = SplitMix(state: 3)
    let count = 7 * 256
    let values = (0..<count).map { _ in
      Float.random(in: -1...1, using: &random) * Float.random(in: 0...3, using: &random)
    }
    let scalar = try #require(quantize(values, dtype, .scalar))
    for instructions in Quantization.InstructionSet.available {
      #expect(quantize(values, dtype, instructions) == scalar)
    }
    let width = dtype.layout.elements
    for block in 0..<count / width {
      let alone = quantize(Array(values[block * width..<(block + 1) * width]), dtype, .best)
      let bytes = dtype.layout.bytes
      #expect(alone == Array(scalar[block * bytes..<(block + 1) * bytes]), "block \(block)")
    }
  }

  @Test(arguments: simple + searched)
  func `zeros stay zeros`(dtype: DType) throws {
    let blocks = try #require(quantize([Float](repeating: 0, count: 512), dtype, .best))
    #expect(values(of: blocks, dtype).allSatisfy { $0 == 0 })
  }

  @Test(arguments: simple + searched, [Float.nan, .infinity, -.infinity, 3e38, -3e38])
  func `values that no block holds are refused`(dtype: DType, value: Float) {
    for place in [0, 15, 16, 31, 200, 255] {
      var values = (0..<256).map { Float($0) / 256 }
      values[place] = value
      for instructions in Quantization.InstructionSet.available {
        #expect(quantize(values, dtype, instructions) == nil, "at \(place)")
      }
    }
  }

  private func quantize(
    _ values: [Float], _ dtype: DType, _ instructions: Quantization.InstructionSet
  ) -> [UInt8]? {
    var blocks = [UInt8](
      repeating: 0xAB, count: values.count / dtype.layout.elements * dtype.layout.bytes)
    let isHeld = blocks.withMutableRawBytes { blocks in
      values.withRawBytes {
        Quantization.quantize($0, to: dtype, into: &blocks, using: instructions)
      }
    }
    return isHeld ? blocks : nil
  }

  private func values(of blocks: [UInt8], _ dtype: DType) -> [Float] {
    let count = blocks.count / dtype.layout.bytes * dtype.layout.elements
    var values = [Float](repeating: .nan, count: count)
    values.withMutableRawBytes { values in
      blocks.withRawBytes { Quantization.dequantize($0, dtype, into: &values) }
    }
    return values
  }

  private func relativeError(of blocks: [UInt8], _ dtype: DType, _ values: [Float]) -> Double {
    var (error, size) = (0.0, 0.0)
    for (back, value) in zip(self.values(of: blocks, dtype), values) {
      error += (Double(back) - Double(value)) * (Double(back) - Double(value))
      size += Double(value) * Double(value)
    }
    return (error / size).squareRoot()
  }
}
