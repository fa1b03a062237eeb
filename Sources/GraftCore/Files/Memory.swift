internal import Glibc

/// A region of memory with one owner: allocated pages, or a file mapped read-only.
///
/// Everything else borrows: `bytes` and `mutableBytes` lend spans, ``MemorySlice`` names a part. The region
/// is released when the last reference goes.
///
/// Safety: `start` and `byteCount` never change after `init`; mapped files are `PROT_READ`, so `mutableBytes`
/// is refused for them. Writers to one region from several threads must write disjoint ranges; the executor's
/// memory plan guarantees that, and it is the only concurrent writer.
@safe public final class Memory: @unchecked Sendable {
  private let start: UnsafeMutableRawPointer?
  private let mappedByteCount: Int
  /// The usable bytes.
  public let byteCount: Int
  /// Whether the region may be written.
  public let isWritable: Bool

  /// Allocates zeroed pages, aligned to at least 4096 bytes; large regions ask for huge pages.
  ///
  /// - Throws: ``StorageError/Reason/noMemory`` when the system refuses.
  public init(byteCount: Int) throws(StorageError) {
    precondition(byteCount >= 0, "a region has no negative size")
    let pages = max(byteCount, 1)
    let region = unsafe mmap(nil, pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let region = unsafe region, unsafe region != MAP_FAILED else {
      throw .noMemory(for: "\(byteCount) bytes")
    }
    if byteCount >= 4 << 20 { _ = unsafe madvise(region, pages, MADV_HUGEPAGE) }
    unsafe self.start = region
    self.mappedByteCount = pages
    self.byteCount = byteCount
    self.isWritable = true
  }

  /// Checks that the system would give so many bytes, for what can't say that it gets none.
  ///
  /// - Throws: ``StorageError/Reason/noMemory``.
  package static func checkRoom(_ byteCount: Int) throws(StorageError) {
    _ = try Memory(byteCount: byteCount)
  }

  /// The bytes of the whole pages that a region of so many bytes takes.
  package static func pages(_ byteCount: Int) -> Int { (byteCount + 4095) / 4096 * 4096 }

  /// Maps a whole file read-only, after its size has been checked by the caller's reader.
  ///
  /// Truncation by another process while the mapping lives raises SIGBUS; streaming verbs therefore read with
  /// `pread` instead.
  public init(mapping file: InputFile) throws(StorageError) {
    byteCount = file.byteCount
    mappedByteCount = max(file.byteCount, 1)
    isWritable = false
    if file.byteCount == 0 {
      unsafe start = nil
    } else {
      let region = unsafe mmap(nil, file.byteCount, PROT_READ, MAP_PRIVATE, file.descriptor, 0)
      guard let region = unsafe region, unsafe region != MAP_FAILED else {
        throw StorageError(call: "mmap", errno: errno, file: file.path)
      }
      unsafe start = region
    }
  }

  deinit {
    if let start = unsafe start { _ = unsafe munmap(start, mappedByteCount) }
  }

  /// The region, to read.
  public var bytes: RawSpan {
    @_lifetime(borrow self)
    get {
      let span = unsafe RawSpan(
        _unsafeBytes: UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : byteCount))
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// Runs `body` with the region, to write.
  ///
  /// - Precondition: the region is writable.
  public func withMutableBytes<R: ~Copyable, E: Error>(
    _ body: (inout MutableRawSpan) throws(E) -> R
  ) throws(E) -> R {
    precondition(isWritable, "a mapped file is read-only")
    var span = unsafe MutableRawSpan(
      _unsafeBytes: UnsafeMutableRawBufferPointer(start: start, count: byteCount))
    return try body(&span)
  }

  /// The address of a byte, for the kernels' faces only.
  package func address(at byteOffset: Int) -> UnsafeMutableRawPointer? {
    precondition(byteOffset >= 0 && byteOffset <= byteCount, "an address inside the region")
    return unsafe start.map { unsafe $0 + byteOffset }
  }

  /// Gives the pages of an anonymous region back to the system; they read as zero afterwards.
  package func discard() {
    guard isWritable, let start = unsafe start else { return }
    _ = unsafe madvise(start, mappedByteCount, MADV_DONTNEED)
  }
}

/// Typed elements inside a ``Memory``: what kernels read and write.
public struct MemorySlice: Sendable {
  /// The owner.
  public let memory: Memory
  /// Where the first element stands.
  public let byteOffset: Int
  /// The element type.
  public let dtype: DType
  /// The extents, row-major and contiguous.
  public let shape: Shape

  /// Names a part of a region.
  ///
  /// - Precondition: the part lies inside the region.
  public init(_ memory: Memory, at byteOffset: Int = 0, dtype: DType, shape: Shape) {
    let layout = dtype.layout
    let byteCount = shape.elementCount / layout.elements * layout.bytes
    precondition(
      byteOffset >= 0 && byteOffset + byteCount <= memory.byteCount,
      "a slice lies inside its region")
    self.memory = memory
    self.byteOffset = byteOffset
    self.dtype = dtype
    self.shape = shape
  }

  /// Allocates a zeroed region for a tensor.
  public init(allocating dtype: DType, _ shape: Shape) throws(StorageError) {
    let layout = dtype.layout
    let memory = try Memory(byteCount: shape.elementCount / layout.elements * layout.bytes)
    self.init(memory, dtype: dtype, shape: shape)
  }

  /// The bytes of the slice.
  public var byteCount: Int { shape.elementCount / dtype.layout.elements * dtype.layout.bytes }

  /// The bytes, to read.
  public var bytes: RawSpan {
    @_lifetime(borrow self)
    get { memory.bytes.extracting(byteOffset..<byteOffset + byteCount) }
  }
}
