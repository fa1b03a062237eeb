internal import COneDNN
internal import COpenBLAS
internal import CKernels
internal import GraftCore
internal import Glibc
internal import Synchronization

/// The instruction sets that kernels are compiled for; all give the same bits.
package enum SIMDLevel: Int32, Sendable, CaseIterable, Comparable {
  /// The scalar twins.
  case scalar = 0
  case avx2 = 1
  case avx512 = 2
  /// With products of pairs of bf16, and conversions to bf16.
  case avx512BF16 = 3

  /// The best one that this CPU has, and no better than the one that `GRAFT_SIMD` names: `scalar`, `avx2`, `avx512`.
  package static let best: SIMDLevel = {
    let best = SIMDLevel(rawValue: graft_best_level()) ?? .scalar
    guard let wish = unsafe getenv("GRAFT_SIMD") else { return best }
    return min(best, allCases.first { unsafe "\($0)" == String(cString: wish) } ?? best)
  }()

  package static func < (a: SIMDLevel, b: SIMDLevel) -> Bool { a.rawValue < b.rawValue }
}

/// The arithmetic on memory: products, attention, the loss head, tile programs and conversions.
///
/// Work is cut in a way that depends on the shapes alone, and what is summed across tasks is summed in their order:
/// results have the same bits whatever the number of threads.
package final class Kernels: Sendable {
  /// The threads that share the work.
  package let pool: ThreadPool
  /// The instruction set in use.
  package let simd: SIMDLevel
  /// Whether bf16 products are worth doing in bf16 on this CPU.
  package let hasBF16DotProduct: Bool
  let workers: [Worker]
  let shared = SharedScratch()
  let reservations = Mutex(ScratchNeed())

  /// Makes the kernels over a pool of threads.
  package init(pool: ThreadPool, simd: SIMDLevel = .best) {
    self.pool = pool
    self.simd = min(simd, .best)
    workers = (0..<pool.threadCount).map { _ in Worker() }
    openblas_set_num_threads(1)
    hasBF16DotProduct =
      self.simd == .avx512BF16 && graft_onednn_is_available() != 0
  }

  var level: Int32 { simd.rawValue }

  /// Splits `count` elements into fixed runs of `length` and shares them.
  func runs(
    of count: Int, length: Int, _ body: @Sendable (_ range: Range<Int>, _ worker: Int) -> Void
  ) {
    guard count > 0 else { return }
    pool.run(count: (count + length - 1) / length) { task, worker in
      body(task * length..<min(count, (task + 1) * length), worker)
    }
  }
}
