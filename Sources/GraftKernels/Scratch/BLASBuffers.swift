internal import COpenBLAS
internal import GraftCore
internal import Synchronization

/// The buffers in which OpenBLAS packs operands, one for each thread that multiplies.
///
/// The library takes them when they are first needed, and where the system has no memory it asks for them forever. So they are
/// taken one by one after it has been seen that there is room.
enum BLASBuffers {
  /// The address space of one as Debian builds the library; only a part is ever touched.
  private static let byteCount = 128 << 20
  private static let count = Mutex(0)

  /// Sees to it that so many threads can multiply at once.
  ///
  /// - Throws: ``StorageError`` without memory.
  static func reserve(_ wanted: Int) throws(StorageError) {
    try count.withLock { (count) throws(StorageError) in
      while count < wanted {
        try Memory.checkRoom(Self.byteCount)
        guard graft_blas_take_buffers(Int32(count + 1)) != 0 else { return }
        count += 1
      }
    }
  }
}
