import Foundation
import GraftCore
import Synchronization

/// Shows how far long work has come: a bar on a terminal, a line every few seconds elsewhere, nothing when quiet.
final class ProgressDisplay: Sendable {
  /// What is counted.
  enum Unit: Sendable {
    case bytes
    case tokens

    func rate(_ perSecond: Double) -> String {
      switch self {
      case .bytes: String(format: "%.0f MB/s", perSecond / 1e6)
      case .tokens: String(format: "%.0f tokens/s", perSecond)
      }
    }
  }

  private struct State {
    var total: Int
    var done = 0
    var lastShown: ContinuousClock.Instant?
    var hasBar = false
  }

  private let title: String
  private let unit: Unit
  private let isQuiet: Bool
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private let began = ContinuousClock.now
  private let state: Mutex<State>

  /// A display of work whose total may be told later.
  init(_ title: String, total: Int = 0, unit: Unit, isQuiet: Bool) {
    self.title = title
    state = Mutex(State(total: total))
    self.unit = unit
    self.isQuiet = isQuiet
  }

  /// The callback that the library's verbs take.
  var progress: GraftCore.Progress {
    GraftCore.Progress { [self] done in
      advance(by: done)
    } expect: { [self] total in
      state.withLock { $0.total = total }
    }
  }

  /// Counts work as done and shows it when it is time.
  func advance(by done: Int, note: String = "") {
    guard !isQuiet else { return }
    state.withLock { state in
      state.done += done
      let now = ContinuousClock.now
      let interval: Duration = isTerminal ? .milliseconds(100) : .seconds(5)
      guard now - (state.lastShown ?? (isTerminal ? began - interval : began)) >= interval else {
        return
      }
      state.lastShown = now
      show(state.done, of: max(state.total, 1), now, note)
      state.hasBar = isTerminal
    }
  }

  /// Removes the bar, so that results stand alone.
  func finish() {
    state.withLock { state in
      if state.hasBar { Standard.errorStream("\r\u{1B}[K") }
      state.hasBar = false
    }
  }

  private func show(
    _ done: Int, of total: Int, _ now: ContinuousClock.Instant, _ note: String
  ) {
    let seconds = max(Double((now - began) / .nanoseconds(1)) / 1e9, 1e-3)
    let share = min(1, Double(done) / Double(total))
    let left = share > 0 ? seconds / share - seconds : 0
    let facts = [
      String(format: "%3.0f %%", share * 100), unit.rate(Double(done) / seconds),
      "\(clockTime(left)) left", note,
    ].filter { !$0.isEmpty }.joined(separator: "  ")
    if isTerminal {
      let filled = Int(share * 24)
      let bar =
        String(repeating: "█", count: filled) + String(repeating: "░", count: 24 - filled)
      Standard.errorStream("\r\u{1B}[K\(title) \(bar) \(facts)")
    } else {
      Standard.errorStream("\(title): \(facts)\n")
    }
  }

  private func clockTime(_ seconds: Double) -> String {
    let whole = Int(seconds.rounded(.up))
    return String(format: "%d:%02d", whole / 60, whole % 60)
  }
}
