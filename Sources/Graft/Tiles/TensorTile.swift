internal import GraftCore
internal import GraftKernels
internal import Synchronization

/// A run of a tensor's elements, small enough for memory.
struct TensorTile: Sendable {
  /// The tensor's position in its checkpoint.
  let tensor: Int
  /// The elements, whole blocks of the stored dtype.
  let elements: Range<Int>

  /// The elements of a tile: as f64 they fill 2 MiB, a core's share of the cache.
  static let elementCount = 1 << 18

  /// The elements of tiles that begin at multiples of a number, where it isn't larger than a tile.
  static func elementCount(inMultiplesOf grain: Int) -> Int {
    grain > elementCount ? elementCount : elementCount / grain * grain
  }

  /// Cuts a tensor into tiles, in order; an empty one has none.
  static func all(
    of info: TensorInfo, at tensor: Int, elementCount: Int = Self.elementCount
  ) -> [TensorTile] {
    let total = info.shape.elementCount
    return stride(from: 0, to: total, by: elementCount).map {
      TensorTile(tensor: tensor, elements: $0..<min($0 + elementCount, total))
    }
  }

  /// The tile's place among the stored bytes of its tensor.
  func bytes(in dtype: DType) -> Range<Int> {
    let layout = dtype.layout
    return elements.lowerBound / layout.elements
      * layout.bytes..<elements.upperBound / layout.elements * layout.bytes
  }
}

/// Gives every item to some thread, in order; the first error stops them all.
///
/// - Parameter worker: Makes what a thread keeps for itself, such as buffers.
func shareOut<Worker>(
  _ count: Int, threadCount: Int, worker make: @Sendable () throws -> Worker,
  _ body: @Sendable (_ item: Int, _ worker: inout Worker) throws -> Void
) throws {
  let next = Atomic<Int>(0)
  let failure = Mutex<(any Error)?>(nil)
  let workers = max(1, min(threadCount, count))
  // Where the system gives fewer threads, each shares out again until nothing is left.
  ThreadPool(threadCount: workers).run(count: workers) { _, _ in
    do {
      var worker = try make()
      while failure.withLock({ $0 == nil }) {
        let item = next.add(1, ordering: .relaxed).oldValue
        guard item < count else { return }
        try body(item, &worker)
      }
    } catch {
      failure.withLock { $0 = $0 ?? error }
    }
  }
  if let error = failure.withLock({ $0 }) { throw error }
}
