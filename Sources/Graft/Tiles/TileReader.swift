internal import GraftAdapters
internal import GraftCore
internal import GraftKernels

/// Reads tiles into buffers of its own: as they are stored, or as f64 whatever they are stored as.
struct TileReader {
  private let kernels = Kernels(pool: ThreadPool(threadCount: 1))
  private var stored: Memory
  private var floats: Memory
  private var doubles: Memory

  init() throws(StorageError) {
    let count = TensorTile.elementCount
    stored = try Memory(byteCount: count * 8)
    floats = try Memory(byteCount: count * 4)
    doubles = try Memory(byteCount: count * 8)
  }

  /// The stored bytes of a tile; good until the next read.
  func bytes(of tile: TensorTile, _ reader: any CheckpointReader) throws(StorageError)
    -> MemorySlice
  {
    let range = tile.bytes(in: reader.tensors[tile.tensor].dtype)
    let slice = MemorySlice(stored, dtype: .u8, shape: [range.count])
    try reader.read(tile.tensor, at: range.lowerBound, into: slice)
    return slice
  }

  /// The values of a tile as f64, exactly but for 64-bit integers; good until the next read.
  ///
  /// - Precondition: the dtype has values, see ``DType/hasValues``.
  func values(of tile: TensorTile, _ reader: any CheckpointReader) throws(StorageError)
    -> MemorySlice
  {
    decoded(
      try bytes(of: tile, reader), reader.tensors[tile.tensor].dtype, [tile.elements.count])
  }

  /// The values of a matrix's block as f64, row by row, exactly but for 64-bit integers; good until the next read.
  ///
  /// - Precondition: the dtype has values, and its blocks fill rows.
  func values(
    of block: MatrixBlock, in tensor: Int, _ reader: any CheckpointReader
  ) throws(StorageError) -> MemorySlice {
    decoded(
      try bytes(of: block, in: tensor, reader), reader.tensors[tensor].dtype,
      [block.rows.count, block.columns.count])
  }

  /// The stored bytes of a matrix's block, row by row; good until the next read.
  ///
  /// - Precondition: the dtype's blocks fill rows.
  func bytes(
    of block: MatrixBlock, in tensor: Int, _ reader: any CheckpointReader
  ) throws(StorageError) -> MemorySlice {
    let layout = reader.tensors[tensor].dtype.layout
    let rowBytes = block.columns.count / layout.elements * layout.bytes
    for (index, row) in block.rows.enumerated() {
      let element = row * block.width + block.columns.lowerBound
      try reader.read(
        tensor, at: element / layout.elements * layout.bytes,
        into: MemorySlice(stored, at: index * rowBytes, dtype: .u8, shape: [rowBytes]))
    }
    return MemorySlice(stored, dtype: .u8, shape: [block.rows.count * rowBytes])
  }

  /// Stored bytes, which begin the buffer, as f64.
  private func decoded(_ raw: MemorySlice, _ dtype: DType, _ shape: Shape) -> MemorySlice {
    let result = MemorySlice(doubles, dtype: .f64, shape: shape)
    if dtype.isComputableFloat {
      kernels.convert(MemorySlice(stored, dtype: dtype, shape: shape), to: result)
    } else if dtype.isBlockQuantized {
      kernels.convert(dequantized(raw, dtype, shape), to: result)
    } else {
      doubles.withMutableBytes { widen(raw.bytes, dtype, into: &$0) }
    }
    return result
  }

  /// The values of a tile of blocks as f32; good until the next read.
  ///
  /// - Precondition: the dtype is block-quantized.
  func dequantized(_ tile: TensorTile, _ reader: any CheckpointReader) throws(StorageError)
    -> MemorySlice
  {
    let raw = try bytes(of: tile, reader)
    return dequantized(raw, reader.tensors[tile.tensor].dtype, [tile.elements.count])
  }

  private func dequantized(_ raw: MemorySlice, _ dtype: DType, _ shape: Shape) -> MemorySlice {
    let result = MemorySlice(floats, dtype: .f32, shape: shape)
    floats.withMutableBytes { whole in
      var part = whole._mutatingExtracting(0..<result.byteCount)
      Quantization.dequantize(raw.bytes, dtype, into: &part)
    }
    return result
  }
}

extension DType {
  /// Whether elements stand for numbers that are decoded here.
  var hasValues: Bool {
    switch self {
    case .f4, .f6E2M3, .f6E3M2, .c64,
      .iq1S, .iq1M, .iq2XXS, .iq2XS, .iq2S, .iq3XXS, .iq3S, .tq1_0, .tq2_0, .nvfp4, .q1_0:
      false
    case .bool, .u8, .i8, .f8E5M2, .f8E4M3, .f8E8M0, .f8E4M3FNUZ, .f8E5M2FNUZ, .i16, .u16, .f16,
      .bf16, .i32, .u32, .f32, .f64, .i64, .u64, .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .q2K, .q3K,
      .q4K, .q5K, .q6K, .iq4NL, .iq4XS, .mxfp4:
      true
    }
  }
}

/// Writes integers and 8-bit floats as f64.
private func widen(_ bytes: RawSpan, _ dtype: DType, into target: inout MutableRawSpan) {
  switch dtype {
  case .bool, .u8: widen(bytes, UInt8.self, into: &target) { Double($0) }
  case .i8: widen(bytes, Int8.self, into: &target) { Double($0) }
  case .i16: widen(bytes, Int16.self, into: &target) { Double($0) }
  case .u16: widen(bytes, UInt16.self, into: &target) { Double($0) }
  case .i32: widen(bytes, Int32.self, into: &target) { Double($0) }
  case .u32: widen(bytes, UInt32.self, into: &target) { Double($0) }
  case .i64: widen(bytes, Int64.self, into: &target) { Double($0) }
  case .u64: widen(bytes, UInt64.self, into: &target) { Double($0) }
  default:
    let table = (0...UInt8.max).map { eightBitFloat($0, dtype) }
    widen(bytes, UInt8.self, into: &target) { table[Int($0)] }
  }
}

private func widen<Element: BitwiseCopyable>(
  _ bytes: RawSpan, _: Element.Type, into target: inout MutableRawSpan,
  _ value: (Element) -> Double
) {
  let size = MemoryLayout<Element>.size
  for index in 0..<bytes.byteCount / size {
    let element = unsafe bytes.unsafeLoadUnaligned(
      fromByteOffset: index * size, as: Element.self)
    target.storeBytes(of: value(element), toByteOffset: index * 8, as: Double.self)
  }
}

/// The value of an 8-bit float (OCP OFP8 and MX, and the variants without a negative zero).
private func eightBitFloat(_ bits: UInt8, _ dtype: DType) -> Double {
  if dtype == .f8E8M0 {
    return bits == 255 ? .nan : Double(sign: .plus, exponent: Int(bits) - 127, significand: 1)
  }
  let isE5 = dtype == .f8E5M2 || dtype == .f8E5M2FNUZ
  let isUnsignedZero = dtype == .f8E4M3FNUZ || dtype == .f8E5M2FNUZ
  let mantissaBits = isE5 ? 2 : 3
  let bias = (isE5 ? 15 : 7) + (isUnsignedZero ? 1 : 0)
  let exponent = Int(bits & 0x7F) >> mantissaBits
  let mantissa = Int(bits) & (1 << mantissaBits - 1)
  if isUnsignedZero {
    if bits == 0x80 { return .nan }
  } else if isE5, exponent == 31 {
    return mantissa != 0 ? .nan : bits < 0x80 ? .infinity : -.infinity
  } else if !isE5, bits & 0x7F == 0x7F {
    return .nan
  }
  let fraction = Double(mantissa) / Double(1 << mantissaBits)
  let magnitude =
    exponent == 0
    ? Double(sign: .plus, exponent: 1 - bias, significand: fraction)
    : Double(sign: .plus, exponent: exponent - bias, significand: 1 + fraction)
  return bits < 0x80 ? magnitude : -magnitude
}
