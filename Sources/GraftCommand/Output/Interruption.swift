import Foundation
import GraftCore
import Synchronization

/// Ctrl-C, the request to terminate and a terminal that is closed: running work that stops by itself is asked to; other work ends at once, and what it
/// was still writing is removed.
enum Interruption {
  private static let count = Atomic<Int>(0)
  private static let isGraceful = Atomic<Bool>(false)

  /// Whether the user asked to stop while work ran that stops by itself.
  static var isRequested: Bool { count.load(ordering: .relaxed) > 0 }

  /// Whether a verb watches ``isRequested``; otherwise the first request ends the process.
  static func stopGracefully(_ graceful: Bool) { isGraceful.store(graceful, ordering: .relaxed) }

  /// A pipe: a handler may do little more than write a byte, and a thread reads it and does the rest.
  private static let ear = Atomic<Int32>(-1)
  private static let bell = Atomic<Int32>(-1)

  private static let stackByteCount = 1 << 20
  private static let signals = [SIGINT, SIGTERM, SIGHUP]

  /// Begins to listen, on a thread of its own.
  ///
  /// Where no thread can be had, a signal ends the process at once; Dispatch would wait for its threads without end.
  static func watch() {
    // A closed pipe and a limit on the size of files are errors of the write, after which nothing half-written is left.
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    var ends: [Int32] = [-1, -1]
    guard unsafe pipe(&ends) == 0 else { return }
    ear.store(ends[0], ordering: .relaxed)
    bell.store(ends[1], ordering: .relaxed)
    guard startListening() else { return }
    for number in signals where number != SIGHUP || !isIgnored(number) {
      signal(number) { _ in
        let code = errno
        var byte: UInt8 = 0
        _ = unsafe write(Interruption.bell.load(ordering: .relaxed), &byte, 1)
        errno = code
      }
    }
  }

  /// Starts the thread; false when the system gives none.
  private static func startListening() -> Bool {
    var attributes = pthread_attr_t()
    guard unsafe pthread_attr_init(&attributes) == 0 else { return false }
    defer { unsafe pthread_attr_destroy(&attributes) }
    unsafe pthread_attr_setstacksize(&attributes, stackByteCount)
    var thread = pthread_t()
    let status = unsafe pthread_create(
      &thread, &attributes,
      { _ in
        Interruption.listen()
        return nil
      }, nil)
    guard status == 0 else { return false }
    pthread_detach(thread)
    return true
  }

  private static func listen() {
    // Whoever starts the command may have them blocked, as Dispatch's threads have; one thread that takes them is enough.
    var heard = sigset_t()
    unsafe sigemptyset(&heard)
    for number in signals { unsafe sigaddset(&heard, number) }
    unsafe pthread_sigmask(SIG_UNBLOCK, &heard, nil)
    var byte: UInt8 = 0
    while true {
      let count = unsafe read(ear.load(ordering: .relaxed), &byte, 1)
      if count == 1 {
        heed()
      } else if count == 0 || errno != EINTR {
        return
      }
    }
  }

  private static func heed() {
    let presses = count.add(1, ordering: .relaxed).newValue
    guard presses > 1 || !isGraceful.load(ordering: .relaxed) else { return }
    UnfinishedOutputs.removeAll()
    Standard.error("error: interrupted")
    _exit(ExitStatus.interrupted.rawValue)
  }

  /// Whether a signal is ignored already, as `nohup` wants it.
  private static func isIgnored(_ number: Int32) -> Bool {
    var action = sigaction()
    guard unsafe sigaction(number, nil, &action) == 0 else { return false }
    let handler = unsafe action.__sigaction_handler.sa_handler
    return unsafe unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }
}
