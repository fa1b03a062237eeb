import GraftKernels
import Synchronization
import Testing

@Suite struct ThreadPoolTests {
  @Test(arguments: [1, 2, 3, 4], [0, 1, 7, 1000])
  func `runs every task once`(threads: Int, count: Int) {
    let pool = ThreadPool(threadCount: threads)
    for _ in 0..<200 {
      let sum = Mutex([Int](repeating: 0, count: count))
      pool.run(count: count) { task, worker in
        precondition(worker < threads)
        sum.withLock { $0[task] += 1 }
      }
      #expect(sum.withLock { $0.allSatisfy { $0 == 1 } })
    }
  }

  @Test(arguments: [1, 2, 5])
  func `runs a body once on each thread`(threads: Int) {
    let pool = ThreadPool(threadCount: threads)
    for _ in 0..<200 {
      let counts = Mutex([Int](repeating: 0, count: threads))
      pool.runOnEveryThread { worker in counts.withLock { $0[worker] += 1 } }
      #expect(counts.withLock { $0.allSatisfy { $0 == 1 } })
    }
  }

  @Test func `runs more tasks than a ticket counts`() {
    let pool = ThreadPool(threadCount: 3)
    let sum = Atomic<Int>(0)
    pool.run(count: 3_000_001) { task, _ in sum.wrappingAdd(task, ordering: .relaxed) }
    #expect(sum.load(ordering: .relaxed) == 3_000_001 * 3_000_000 / 2)
  }

  @Test func `serves callers on several threads`() async {
    final class Counter: Sendable { let value = Atomic<Int>(0) }
    let pool = ThreadPool(threadCount: 2)
    let counter = Counter()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          for _ in 0..<100 {
            pool.run(count: 10) { _, _ in counter.value.add(1, ordering: .relaxed) }
          }
        }
      }
    }
    #expect(counter.value.load(ordering: .relaxed) == 8000)
  }
}
