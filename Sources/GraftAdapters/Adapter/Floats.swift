package import GraftCore

extension CheckpointReader {
  /// A whole floating-point tensor in f32.
  ///
  /// - Precondition: the tensor's dtype is f16, bf16, f32 or f64.
  package func f32Contents(of tensor: Int) throws(StorageError) -> MemorySlice {
    let stored = try contents(of: tensor)
    guard stored.dtype != .f32 else { return stored }
    let converted = try MemorySlice(allocating: .f32, stored.shape)
    converted.fill(stored.floats)
    return converted
  }
}

extension MemorySlice {
  /// The elements of a floating-point slice in single precision, for slices known to be small.
  ///
  /// - Precondition: the dtype is f16, bf16, f32 or f64.
  package var floats: [Float] {
    let bytes = bytes
    let width = dtype.layout.bytes
    // Safety: RawSpan checks the bounds; every bit pattern is a valid number of these types.
    return (0..<shape.elementCount).map { index in
      let at = index * width
      switch dtype {
      case .f32: return unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at, as: Float.self)
      case .f64: return Float(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at, as: Double.self))
      case .f16:
        return Float(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at, as: Float16.self))
      case .bf16:
        let bits = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt16.self)
        return Float(bitPattern: UInt32(bits) << 16)
      case .bool, .f4, .f6E2M3, .f6E3M2, .u8, .i8, .f8E5M2, .f8E4M3, .f8E8M0, .f8E4M3FNUZ,
        .f8E5M2FNUZ, .i16, .u16, .i32, .u32, .c64, .i64, .u64, .q4_0, .q4_1, .q5_0, .q5_1, .q8_0,
        .q2K, .q3K, .q4K, .q5K, .q6K:
        preconditionFailure("\(dtype) isn't a float that arithmetic is done on")
      }
    }
  }

  /// Overwrites an f32 slice.
  ///
  /// - Precondition: the slice is writable f32 with as many elements as there are values.
  package func fill(_ values: [Float]) {
    precondition(dtype == .f32 && values.count == shape.elementCount, "as many floats as elements")
    memory.withMutableBytes { (whole: inout MutableRawSpan) in
      var part = whole._mutatingExtracting(byteOffset..<byteOffset + byteCount)
      for (index, value) in values.enumerated() {
        part.storeBytes(of: value, toByteOffset: index * 4, as: Float.self)
      }
    }
  }
}
