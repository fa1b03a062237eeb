internal import GraftCore
internal import GraftKernels
internal import Synchronization

/// One weight of a model in its file: used where it lies, or converted into memory when it is first asked for.
///
/// A run that trains a weight never asks for it, and so never holds it twice.
final class StoredWeight: Sendable {
  /// What the file says of it.
  let info: TensorInfo
  /// The dtype that it is computed with.
  let dtype: DType
  /// Whether the file's bytes are used in place.
  var isMapped: Bool { mapped != nil }

  private let checkpoint: any CheckpointReader
  private let position: Int
  private let mapped: MemorySlice?
  private let kernels: Kernels
  private let copy = Mutex<MemorySlice?>(nil)

  init(
    _ checkpoint: any CheckpointReader, _ position: Int, dtype: DType, mapped: MemorySlice?,
    kernels: Kernels
  ) {
    self.checkpoint = checkpoint
    self.position = position
    self.dtype = dtype
    self.mapped = mapped
    self.kernels = kernels
    info = checkpoint.tensors[position]
  }

  /// The weight in the dtype of the computation; the same memory every time.
  func slice() throws(StorageError) -> MemorySlice {
    if let mapped { return mapped }
    return try copy.withLock { (copy) throws(StorageError) -> MemorySlice in
      if let copy { return copy }
      let made = try converted(to: dtype)
      copy = made
      return made
    }
  }

  /// Adds the weight as the file holds it to a fingerprint.
  func combine(
    into fingerprint: inout TensorFingerprint, named name: TensorName
  ) throws(StorageError) {
    try fingerprint.combine(position, of: checkpoint, named: name)
  }

  /// A copy in memory of its own, read in tiles that are converted one by one, so that only the result is ever whole.
  func converted(to dtype: DType) throws(StorageError) -> MemorySlice {
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
