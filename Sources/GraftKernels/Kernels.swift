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

  /// The best one that this CPU has, and no better than the one that ``variable`` names.
  package static let best: SIMDLevel = {
    let best = SIMDLevel(rawValue: graft_best_level()) ?? .scalar
    return min(best, wish.flatMap { SIMDLevel(name: $0) } ?? best)
  }()

  /// The variable of the environment that names the best one to use.
  package static let variable = "GRAFT_SIMD"

  /// What the variable says, whether that is a name or not; nil where it is empty.
  package static var wish: String? {
    let value = unsafe getenv(variable).map { unsafe String(cString: $0) }
    return value == "" ? nil : value
  }

  /// The one of a name: `scalar`, `avx2`, `avx512`, `avx512BF16`.
  package init?(name: String) {
    guard let level = Self.allCases.first(where: { "\($0)" == name }) else { return nil }
    self = level
  }

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
  /// What the last cache holds, at most: beyond that, what a run wrote first isn't there when it ends.
  let cacheByteCount: Int
  let workers: [Worker]
  let shared = SharedScratch()
  let reservations = Mutex(ScratchNeed())

  /// Makes the kernels over a pool of threads.
  ///
  /// The last cache has 32 MiB on most machines; systems that are guests are told anything, so nobody is asked.
  package init(pool: ThreadPool, simd: SIMDLevel = .best, cacheByteCount: Int = 32 << 20) {
    self.pool = pool
    self.cacheByteCount = cacheByteCount
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
