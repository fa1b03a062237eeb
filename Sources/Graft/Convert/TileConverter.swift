internal import GraftCore
internal import GraftKernels

/// One thread of a conversion with its buffers.
struct TileConverter {
  private let kernels = Kernels(pool: ThreadPool(threadCount: 1))
  private let stored: Memory
  private let floats: Memory
  private let converted: Memory

  /// The bytes of the buffers.
  static let byteCount = TensorTile.elementCount * (8 + 4 + 8)

  init() throws(StorageError) {
    stored = try Memory(byteCount: TensorTile.elementCount * 8)
    floats = try Memory(byteCount: TensorTile.elementCount * 4)
    converted = try Memory(byteCount: TensorTile.elementCount * 8)
  }

  /// A tile in another dtype, or as it is; good until the next one.
  ///
  /// - Throws: ``StorageError``; also for a finite value that the dtype has no number for.
  func convert(_ tile: TensorTile, of reader: any CheckpointReader, to dtype: DType)
    throws(StorageError) -> MemorySlice
  {
    let from = reader.tensors[tile.tensor].dtype
    let range = tile.bytes(in: from)
    let bytes = MemorySlice(stored, dtype: .u8, shape: [range.count])
    try reader.read(tile.tensor, at: range.lowerBound, into: bytes)
    guard from != dtype else { return bytes }
    let shape: Shape = [tile.elements.count]
    var source = MemorySlice(stored, dtype: from, shape: shape)
    if from.isBlockQuantized {
      let values = MemorySlice(floats, dtype: .f32, shape: shape)
      floats.withMutableBytes { whole in
        var part = whole._mutatingExtracting(0..<values.byteCount)
        Quantization.dequantize(bytes.bytes, from, into: &part)
      }
      source = values
    }
    if dtype.isBlockQuantized { return try quantize(source, to: dtype, tile, of: reader) }
    guard source.dtype != dtype else { return source }
    let result = MemorySlice(converted, dtype: dtype, shape: shape)
    kernels.convert(source, to: result)
    try RoundedValues.checkRange(
      of: source.bytes, source.dtype, in: result.bytes, dtype, from: tile.elements.lowerBound,
      file: reader.path, tensor: reader.tensors[tile.tensor].name)
    return result
  }

  /// A tile of floats in blocks; good until the next one.
  ///
  /// - Throws: ``StorageError/Reason/notRepresentable(what:inFormat:)`` for values that a block can't hold.
  private func quantize(
    _ source: MemorySlice, to dtype: DType, _ tile: TensorTile, of reader: any CheckpointReader
  ) throws(StorageError) -> MemorySlice {
    var values = source
    if source.dtype != .f32 {
      values = MemorySlice(floats, dtype: .f32, shape: source.shape)
      kernels.convert(source, to: values)
    }
    let byteCount = tile.bytes(in: dtype).count
    let result = MemorySlice(converted, dtype: .u8, shape: [byteCount])
    let isHeld = converted.withMutableBytes { whole in
      var part = whole._mutatingExtracting(0..<byteCount)
      return Quantization.quantize(values.bytes, to: dtype, into: &part)
    }
    guard isHeld else {
      let (element, value) = beyond(values, in: dtype)
      throw StorageError(
        .notRepresentable(
          what: "the value \(value) of element \(tile.elements.lowerBound + element)",
          inFormat: "\(dtype)"),
        file: reader.path, tensor: reader.tensors[tile.tensor].name,
        remedy: "keep the type of the tensors, or write bf16 or f32: --dtype bf16")
    }
    return result
  }

  /// What the first block of a type that can't be made holds: a value that isn't finite, else its largest.
  private func beyond(_ values: MemorySlice, in dtype: DType) -> (element: Int, value: Float) {
    let layout = dtype.layout
    let width = layout.elements * 4
    let starts = stride(from: 0, to: values.byteCount, by: width)
    let start =
      starts.first { start in
        converted.withMutableBytes { whole in
          var block = whole._mutatingExtracting(0..<layout.bytes)
          return !Quantization.quantize(
            values.bytes.extracting(start..<start + width), to: dtype, into: &block)
        }
      } ?? 0
    // Safety: RawSpan checks the bounds, and every bit pattern is a number.
    let floats = (0..<layout.elements).map {
      unsafe values.bytes.unsafeLoadUnaligned(fromByteOffset: start + $0 * 4, as: Float.self)
    }
    let largest = floats.indices.max { abs(floats[$0]) < abs(floats[$1]) } ?? 0
    let place = floats.firstIndex { !$0.isFinite } ?? largest
    return (start / 4 + place, floats[place])
  }
}
