public import GraftCore
package import GraftKernels

/// The number format of a model's matrices and activations during computation.
public enum ComputePrecision: String, Sendable, CaseIterable {
  /// bf16 weights and GEMM inputs, f32 accumulation, norms, loss and adapters.
  case bf16
  /// f32 throughout.
  case f32

  /// The dtype of matrices and activations.
  public var dtype: DType { self == .bf16 ? .bf16 : .f32 }
}

/// A model's tensors in memory: mapped where the file's bytes can be used in place, converted otherwise.
public struct ModelWeights: Sendable {
  /// The tensors by name.
  public let tensors: [TensorName: MemorySlice]
  /// Bytes mapped from files; the system may drop and reread them.
  public let mappedByteCount: Int
  /// Bytes converted into memory of their own.
  public let convertedByteCount: Int

  /// The tensor of a name that the architecture is known to have.
  ///
  /// - Precondition: the name was among those loaded.
  package subscript(_ name: TensorName) -> MemorySlice {
    guard let slice = tensors[name] else { preconditionFailure("\(name) was loaded") }
    return slice
  }

  private init(
    tensors: [TensorName: MemorySlice], mappedByteCount: Int, convertedByteCount: Int
  ) {
    self.tensors = tensors
    self.mappedByteCount = mappedByteCount
    self.convertedByteCount = convertedByteCount
  }

  /// The weights with some tensors in other memory: the f32 masters of trained ones, or what an adapter brings.
  package func replacing(_ values: [TensorName: MemorySlice]) -> ModelWeights {
    ModelWeights(
      tensors: tensors.merging(values) { _, new in new }, mappedByteCount: mappedByteCount,
      convertedByteCount: convertedByteCount)
  }

  /// The dtype that a tensor is computed with: matrices have the precision's, vectors keep theirs.
  package static func dtype(
    of shape: Shape, stored: DType, precision: ComputePrecision
  ) -> DType {
    shape.rank >= 2 ? precision.dtype : (stored == .f16 || stored == .f64 ? .f32 : stored)
  }

  /// Loads the tensors that an architecture needs from an open checkpoint.
  ///
  /// `stored` gives the names under which a tensor may stand, the usual one first. Matrices become the precision's dtype; vectors (norm weights, biases) keep theirs. Tensors that the architecture
  /// doesn't know are left alone.
  /// - Throws: ``ModelError`` for a missing tensor, another shape or a dtype without arithmetic, ``StorageError`` when
  ///   reading fails.
  package init(
    _ checkpoint: any CheckpointReader, needed: [(name: TensorName, shape: Shape)],
    stored: (TensorName) -> [TensorName] = { [$0] }, precision: ComputePrecision,
    kernels: Kernels
  ) throws {
    let positions = Dictionary(
      checkpoint.tensors.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first }
    )
    var tensors: [TensorName: MemorySlice] = [:]
    var files: [FileIdentity: Memory] = [:]
    var mapped = 0
    var converted = 0
    for (name, shape) in needed {
      guard let position = stored(name).lazy.compactMap({ positions[$0] }).first else {
        throw ModelError(.missingTensor, file: checkpoint.path, tensor: name)
      }
      let info = checkpoint.tensors[position]
      guard info.shape == shape else {
        throw ModelError(
          .shapeMismatch(expected: shape, found: info.shape), file: checkpoint.path, tensor: name)
      }
      guard info.dtype == .f32 || info.dtype == .bf16 || info.dtype == .f16 else {
        throw ModelError(
          .dtype(found: info.dtype), file: checkpoint.path, tensor: name,
          remedy: "convert the model first: graft convert \(checkpoint.path) DIR --dtype bf16")
      }
      let wanted = Self.dtype(of: shape, stored: info.dtype, precision: precision)
      if info.dtype == wanted, let extent = checkpoint.extent(of: position),
        extent.range.lowerBound % (wanted.layout.bytes) == 0
      {
        let memory: Memory
        if let known = files[extent.file.identity] {
          memory = known
        } else {
          memory = try Memory(mapping: extent.file)
          files[extent.file.identity] = memory
        }
        tensors[name] = MemorySlice(
          memory, at: extent.range.lowerBound, dtype: wanted, shape: shape)
        mapped += info.byteCount
      } else {
        let slice = try Self.convert(checkpoint, position, to: wanted, kernels: kernels)
        tensors[name] = slice
        converted += slice.byteCount
      }
    }
    self.tensors = tensors
    mappedByteCount = mapped
    convertedByteCount = converted
  }

  /// Reads a tensor in tiles and converts each, so that only the result is ever whole.
  private static func convert(
    _ checkpoint: any CheckpointReader, _ position: Int, to dtype: DType, kernels: Kernels
  ) throws(StorageError) -> MemorySlice {
    let info = checkpoint.tensors[position]
    if info.dtype == dtype { return try checkpoint.contents(of: position) }
    let result = try MemorySlice(allocating: dtype, info.shape)
    let tileElements = min(max(info.shape.elementCount, 1), 1 << 20)
    let tile = try MemorySlice(allocating: info.dtype, [tileElements])
    let stored = info.dtype.layout.bytes
    var done = 0
    while done < info.shape.elementCount {
      let count = min(tileElements, info.shape.elementCount - done)
      try tile.memory.withMutableBytes { (bytes: inout MutableRawSpan) throws(StorageError) in
        var part = bytes._mutatingExtracting(0..<count * stored)
        try checkpoint.read(position, at: done * stored, into: &part)
      }
      kernels.convert(
        MemorySlice(tile.memory, dtype: info.dtype, shape: [count]),
        to: MemorySlice(
          result.memory, at: done * dtype.layout.bytes, dtype: dtype, shape: [count]))
      done += count
    }
    return result
  }
}
