package import GraftCore
internal import GraftKernels

extension CheckpointReader {
  /// Fills a slice with a tensor's bytes from `byteOffset` (inside the tensor) on.
  package func read(_ tensor: Int, at byteOffset: Int, into slice: MemorySlice)
    throws(StorageError)
  {
    try slice.memory.withMutableBytes { (whole: inout MutableRawSpan) throws(StorageError) in
      var part = whole._mutatingExtracting(slice.byteOffset..<slice.byteOffset + slice.byteCount)
      try read(tensor, at: byteOffset, into: &part)
    }
  }

  /// A whole floating-point tensor in f32.
  ///
  /// - Precondition: the tensor's dtype is f16, bf16, f32 or f64.
  package func f32Contents(of tensor: Int) throws(StorageError) -> MemorySlice {
    try f32Elements(of: tensor, from: 0, shape: tensors[tensor].shape)
  }

  /// Some elements of a floating-point tensor, side by side in the file, in f32.
  ///
  /// - Precondition: the tensor's dtype is f16, bf16, f32 or f64, and it has the elements.
  package func f32Elements(of tensor: Int, from element: Int, shape: Shape)
    throws(StorageError) -> MemorySlice
  {
    let dtype = tensors[tensor].dtype
    let stored = try MemorySlice(allocating: dtype, shape)
    try read(tensor, at: element * dtype.layout.bytes, into: stored)
    guard dtype != .f32 else { return stored }
    let converted = try MemorySlice(allocating: .f32, shape)
    _ = LowRankUpdate.add([], to: stored, into: converted)
    return converted
  }
}

extension MemorySlice {
  /// The elements of an f32 slice.
  package var floats: [Float] {
    precondition(dtype == .f32, "the elements are f32")
    let bytes = bytes
    // Safety: RawSpan checks the bounds, and every bit pattern is a float.
    return (0..<shape.elementCount).map { index in
      unsafe bytes.unsafeLoadUnaligned(fromByteOffset: index * 4, as: Float.self)
    }
  }

  /// Overwrites elements of an f32 slice.
  ///
  /// - Precondition: the slice is writable f32 and has room for the values.
  package func fill(_ values: [Float], at element: Int = 0) {
    precondition(
      dtype == .f32 && element + values.count <= shape.elementCount, "the values have room")
    memory.withMutableBytes { (whole: inout MutableRawSpan) in
      var part = whole._mutatingExtracting(byteOffset..<byteOffset + byteCount)
      for (index, value) in values.enumerated() {
        part.storeBytes(of: value, toByteOffset: (element + index) * 4, as: Float.self)
      }
    }
  }

  /// The transpose of an f32 matrix, in memory of its own.
  package func transposed() throws(StorageError) -> MemorySlice {
    let (rows, columns) = (shape.rows, shape.columns)
    let old = floats
    var new = [Float](repeating: 0, count: old.count)
    for row in 0..<rows {
      for column in 0..<columns { new[column * rows + row] = old[row * columns + column] }
    }
    let result = try MemorySlice(allocating: .f32, [columns, rows])
    result.fill(new)
    return result
  }
}
