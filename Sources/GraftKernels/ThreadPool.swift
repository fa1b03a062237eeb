internal import CKernels
internal import Glibc
internal import Synchronization

/// A fixed team of threads that share the tasks of one job at a time; the caller is one of them.
///
/// Which thread runs a task is left to chance, so results may depend on the task but never on the worker: a worker's
/// number only names scratch that no other task uses meanwhile. Jobs from several callers run one after another.
/// A body must not start another job.
package final class ThreadPool: Sendable {
  /// The threads that share a job, the caller included.
  package let threadCount: Int
  private let team: Team

  /// The processors that this process may use.
  package static var processorCount: Int {
    max(1, Int(graft_processor_count()))
  }

  /// Starts `threadCount − 1` threads, or as many as the system gives.
  package init(threadCount: Int) {
    precondition(threadCount > 0, "a job needs a thread")
    let team = Team()
    self.threadCount = 1 + (1..<threadCount).prefix { team.start($0) }.count
    self.team = team
  }

  deinit { team.dismiss() }

  /// Runs `body` for each task in `0..<count`, and returns when all are done.
  package func run(count: Int, _ body: @Sendable (_ task: Int, _ worker: Int) -> Void) {
    if threadCount == 1 || count <= 1 {
      team.exclusively { for task in 0..<count { body(task, 0) } }
    } else {
      team.exclusively {
        withoutActuallyEscaping(body) { team.share(count: count, $0) }
      }
    }
  }
}

extension ThreadPool {
  /// Runs `body` once on each thread.
  package func runOnEveryThread(_ body: @Sendable (_ worker: Int) -> Void) {
    let started = Atomic<Int>(0)
    run(count: threadCount) { [threadCount] _, worker in
      started.add(1, ordering: .acquiringAndReleasing)
      // Nobody takes a second task while some have none.
      while started.load(ordering: .acquiring) < threadCount { sched_yield() }
      body(worker)
    }
  }
}

/// What the threads of a pool share.
///
/// Safety: `body` is written only by the caller while no task is claimable, before the ticket that makes tasks
/// claimable is published; a worker reads it only after claiming a task, and the caller waits for every claimed task.
/// The other variables are pthread objects with stable addresses, or atomics.
@safe private final class Team: @unchecked Sendable {
  private typealias Body = @Sendable (Int, Int) -> Void

  /// The job's number (high 24 bits), its task count (20) and the next task (20), claimed by compare-and-swap.
  private let ticket = Atomic<UInt64>(0)
  private let finished = Atomic<Int>(0)
  private let parked = Atomic<Int>(0)
  private let isDismissed = Atomic<Bool>(false)
  private var body: Body?
  /// Tasks that one claim stands for, so that any count fits the ticket.
  private var stride = 1
  private var total = 0

  private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let jobs = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let wake = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  private static let countBits: UInt64 = 20
  private static let countMask: UInt64 = 1 << countBits - 1
  /// Polls before a thread parks: tens of microseconds, the distance between two kernels.
  private static let patience = 4000

  init() {
    unsafe pthread_mutex_init(lock, nil)
    unsafe pthread_mutex_init(jobs, nil)
    unsafe pthread_cond_init(wake, nil)
  }

  deinit {
    unsafe pthread_mutex_destroy(lock)
    unsafe pthread_mutex_destroy(jobs)
    unsafe pthread_cond_destroy(wake)
    unsafe lock.deallocate()
    unsafe jobs.deallocate()
    unsafe wake.deallocate()
  }

  func exclusively(_ work: () -> Void) {
    unsafe pthread_mutex_lock(jobs)
    work()
    unsafe pthread_mutex_unlock(jobs)
  }

  // MARK: - The caller's side

  func share(count: Int, _ body: @escaping @Sendable (Int, Int) -> Void) {
    self.body = body
    total = count
    stride = (count + Int(Self.countMask) - 1) / Int(Self.countMask)
    let claims = (count + stride - 1) / stride
    finished.store(0, ordering: .relaxed)
    let number = (ticket.load(ordering: .relaxed) >> (2 * Self.countBits)) &+ 1
    ticket.store(
      number << (2 * Self.countBits) | UInt64(claims) << Self.countBits,
      ordering: .sequentiallyConsistent)
    if parked.load(ordering: .sequentiallyConsistent) > 0 { wakeAll() }

    takePart(worker: 0)
    var polls = 0
    while finished.load(ordering: .acquiring) < claims {
      polls += 1
      if polls > Self.patience { sched_yield() } else { graft_pause() }
    }
    self.body = nil
  }

  private func wakeAll() {
    unsafe pthread_mutex_lock(lock)
    unsafe pthread_cond_broadcast(wake)
    unsafe pthread_mutex_unlock(lock)
  }

  func dismiss() {
    isDismissed.store(true, ordering: .sequentiallyConsistent)
    wakeAll()
  }

  // MARK: - The workers' side

  /// Claims and runs tasks until the current job has none left.
  private func takePart(worker: Int) {
    var seen = ticket.load(ordering: .acquiring)
    while true {
      let claims = seen >> Self.countBits & Self.countMask
      let next = seen & Self.countMask
      guard next < claims else { return }
      let (claimed, current) = ticket.weakCompareExchange(
        expected: seen, desired: seen + 1, ordering: .acquiringAndReleasing)
      guard claimed else {
        seen = current
        continue
      }
      perform(claim: Int(next), worker: worker)
      finished.add(1, ordering: .acquiringAndReleasing)
      seen = ticket.load(ordering: .acquiring)
    }
  }

  /// Not inlined, so that the closure is released before its task counts as finished.
  @inline(never) private func perform(claim: Int, worker: Int) {
    for task in claim * stride..<min(total, (claim + 1) * stride) { body?(task, worker) }
  }

  /// Starts a worker's thread; false when the system gives none.
  func start(_ worker: Int) -> Bool {
    let recruit = unsafe Unmanaged.passRetained(Recruit(team: self, worker: worker))
    let context = unsafe recruit.toOpaque()
    var thread = pthread_t()
    let status = unsafe pthread_create(
      &thread, nil,
      { context in
        guard let context = unsafe context else { return nil }
        let recruit = unsafe Unmanaged<Recruit>.fromOpaque(context).takeRetainedValue()
        recruit.team.work(recruit.worker)
        return nil
      }, context)
    guard status == 0 else {
      unsafe recruit.release()
      return false
    }
    pthread_detach(thread)
    return true
  }

  private func work(_ worker: Int) {
    var done = ticket.load(ordering: .acquiring) >> (2 * Self.countBits)
    if done > 0 { done -= 1 }
    while true {
      var polls = 0
      while ticket.load(ordering: .acquiring) >> (2 * Self.countBits) == done {
        if isDismissed.load(ordering: .relaxed) { return }
        polls += 1
        if polls > Self.patience { park(until: done) } else { graft_pause() }
      }
      done = ticket.load(ordering: .acquiring) >> (2 * Self.countBits)
      takePart(worker: worker)
    }
  }

  private func park(until done: UInt64) {
    unsafe pthread_mutex_lock(lock)
    parked.add(1, ordering: .sequentiallyConsistent)
    while ticket.load(ordering: .sequentiallyConsistent) >> (2 * Self.countBits) == done,
      !isDismissed.load(ordering: .sequentiallyConsistent)
    {
      unsafe pthread_cond_wait(wake, lock)
    }
    parked.subtract(1, ordering: .sequentiallyConsistent)
    unsafe pthread_mutex_unlock(lock)
  }
}

/// What a new thread is told.
private final class Recruit: Sendable {
  let team: Team
  let worker: Int

  init(team: Team, worker: Int) {
    self.team = team
    self.worker = worker
  }
}
