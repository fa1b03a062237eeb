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

  /// What the queue's threads take: their stacks, and some more.
  private static let room = 32 << 20

  /// Begins to listen, on a queue of its own.
  ///
  /// Where there is no room for its threads, which the queue would wait for without end, a signal ends the process at once.
  static func watch() {
    // A closed pipe and a limit on the size of files are errors of the write, after which nothing half-written is left.
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    guard (try? Memory.checkRoom(room)) != nil else { return }
    let queue = DispatchQueue(label: "interruption")
    for number in [SIGINT, SIGTERM, SIGHUP] where number != SIGHUP || !isIgnored(number) {
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
      source.setEventHandler {
        // The handler holds its source, which therefore listens as long as the process lives.
        withExtendedLifetime(source) {}
        let presses = count.add(1, ordering: .relaxed).newValue
        guard presses > 1 || !isGraceful.load(ordering: .relaxed) else { return }
        UnfinishedOutputs.removeAll()
        Standard.error("error: interrupted")
        _exit(ExitStatus.interrupted.rawValue)
      }
      source.resume()
    }
  }

  /// Whether a signal is ignored already, as `nohup` wants it.
  private static func isIgnored(_ number: Int32) -> Bool {
    var action = sigaction()
    guard unsafe sigaction(number, nil, &action) == 0 else { return false }
    let handler = unsafe action.__sigaction_handler.sa_handler
    return unsafe unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }
}
