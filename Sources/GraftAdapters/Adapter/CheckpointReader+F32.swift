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
