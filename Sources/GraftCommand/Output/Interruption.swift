import Foundation
import Synchronization

/// Ctrl-C: the first asks running work to stop at the next safe point, the second ends the process.
enum Interruption {
  private static let count = Atomic<Int>(0)

  /// Whether Ctrl-C was pressed while work ran that stops by itself.
  static var isRequested: Bool { count.load(ordering: .relaxed) > 0 }

  /// Whether a verb watches ``isRequested``; otherwise the first Ctrl-C ends the process.
  static func stopGracefully(_ graceful: Bool) { isGraceful.store(graceful, ordering: .relaxed) }

  private static let isGraceful = Atomic<Bool>(false)

  /// Installs the handler.
  static func watch() {
    signal(SIGPIPE, SIG_DFL)
    signal(SIGINT) { _ in
      let presses = Interruption.count.add(1, ordering: .relaxed).newValue
      if presses > 1 || !Interruption.isGraceful.load(ordering: .relaxed) {
        _exit(ExitStatus.interrupted.rawValue)
      }
    }
  }
}
