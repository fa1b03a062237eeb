package import GraftCore
internal import Synchronization

extension Kernels {
  /// Takes all the scratch that work needs, and lets libraries take theirs, so that nothing has to be taken while it runs.
  ///
  /// - Throws: ``StorageError`` without memory.
  package func reserve(_ need: ScratchNeed) throws(StorageError) {
    // Libraries take memory for what they compile, without saying that there is none.
    try Memory.checkRoom(Self.roomOfLibraries * workers.count)
    var need = need
    for product in try unpreparable(of: need.primitives) { need.includeRefused(product) }
    let failure = Mutex<StorageError?>(nil)
    // A job of its own, so that nobody else uses the workers meanwhile.
    pool.run(count: 1) { [workers, need] _, _ in
      for worker in workers {
        do throws(StorageError) {
          try worker.reserve(need)
        } catch {
          failure.withLock { $0 = error }
        }
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    try shared.reserve(need.shared)
    if need.usesBLAS { try BLASBuffers.reserve(workers.count) }
    try Memory.checkRoom(Self.roomOfLibraries * workers.count)
    reservations.withLock { $0.include(need) }
  }

  /// What libraries may take on each thread: more than was seen.
  private static let roomOfLibraries = 32 << 20

  /// All that was reserved.
  package var reserved: ScratchNeed { reservations.withLock { $0 } }

  /// The bytes of scratch that are held, in whole pages.
  package var scratchByteCount: Int {
    workers.reduce(Memory.pages(shared.byteCount)) { $0 + $1.byteCount }
  }

  /// Makes the primitives of products, each on the thread that will use it, and gives those that oneDNN can't make.
  private func unpreparable(
    of products: Set<ProductForm>
  ) throws(StorageError) -> Set<ProductForm> {
    guard !products.isEmpty else { return [] }
    let refused = Mutex<Set<ProductForm>>([])
    let failure = Mutex<StorageError?>(nil)
    pool.runOnEveryThread { [workers] index in
      for product in products {
        do throws(StorageError) {
          if try !workers[index].prepare(product) { refused.withLock { _ = $0.insert(product) } }
        } catch {
          failure.withLock { $0 = error }
        }
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    return refused.withLock { $0 }
  }
}
