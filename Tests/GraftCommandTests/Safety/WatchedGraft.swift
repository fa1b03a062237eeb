import Foundation
import GraftCore
import TestSupport
import Testing

/// The built command, run with `FaultInjection` between it and its files.
enum WatchedGraft {
  /// What is to go wrong, and at which call.
  enum Plan: Sendable, CustomStringConvertible {
    case error(at: Int, Int32)
    case short(at: Int)
    case full(at: Int)
    case readOnly
    case cut(at: Int)
    case kill(at: Int)
    case outage(at: Int)
    /// Counted are requests for so many bytes or more.
    case memory(at: Int, bytes: Int)

    var description: String {
      switch self {
      case .error(let call, let code): "error \(call) \(code)"
      case .short(let call): "short \(call)"
      case .full(let call): "full \(call)"
      case .readOnly: "sticky 1 \(EROFS)"
      case .cut(let call): "cut \(call)"
      case .kill(let call): "kill \(call)"
      case .outage(let call): "outage \(call)"
      case .memory(let request, let bytes): "memory \(request) \(bytes)"
      }
    }
  }

  /// A kind of call, by the injection's letters.
  enum Call: Character, Sendable {
    case open = "o"
    case create = "C"
    case read = "r"
    case write = "W"
    case copy = "Y"
    case allocate = "A"
    case resize = "T"
    case synchronize = "S"
    case rename = "N"
    case makeDirectory = "M"
    case remove = "U"
    case list = "l"
    case followLink = "f"
    case permit = "P"

    /// Whether the call changes something.
    var changes: Bool { ![.open, .read, .list, .followLink].contains(self) }
    var transfers: Bool { self == .read || self == .write || self == .copy }
    var needsRoom: Bool { [.create, .write, .copy, .makeDirectory, .allocate].contains(self) }
    /// Whether a signal may interrupt it.
    var isInterruptible: Bool {
      [.open, .create, .read, .write, .copy, .allocate].contains(self)
    }
  }

  struct Outcome {
    /// The exit status, or minus the signal.
    let status: Int32
    let output: String
    let error: String
    /// The calls on files below the root, in order.
    let calls: [Call]
    /// How many of them failed by order.
    let failedCount: Int
    /// The first path outside the root that would have been changed.
    let changedOutside: String?
    /// The largest resident size; 0 where the process was killed.
    let peakBytes: Int
    /// What the processors did for the process.
    let processorSeconds: Double
  }

  private static let library: URL? = Graft.executable?.deletingLastPathComponent()
    .appending(path: "libFaultInjection.so")

  /// Runs the command and waits for its end.
  ///
  /// - Parameters:
  ///   - root: the directory whose files are watched, where the command runs; what isn't in it shouldn't change.
  ///   - trace: a file for all changes.
  static func run(
    _ arguments: [String], root: String, plan: Plan? = nil, trace: String? = nil
  ) throws -> Outcome {
    let executable = try #require(Graft.executable)
    let notes = TemporaryFolder()
    let report = notes("report")
    try Data(count: 65536).write(to: notes.url("report"))
    var environment = [
      "PATH=/usr/bin:/bin", "LD_PRELOAD=" + (try #require(library).path),
      "GRAFT_FAULTS_ROOT=" + root, "GRAFT_FAULTS_REPORT=" + report,
      // Files without a name are made, and looked for, where the command runs.
      "TMPDIR=" + root,
    ]
    if let plan { environment.append("GRAFT_FAULTS_PLAN=\(plan)") }
    if let trace {
      try Data().write(to: URL(filePath: trace))
      environment.append("GRAFT_FAULTS_TRACE=" + trace)
    }
    let (status, seconds) = try Spawned.run(
      [executable.path] + arguments, environment: environment, folder: root,
      output: notes("stdout"), error: notes("stderr"))
    let bytes = Array(try Data(contentsOf: notes.url("report")))
    func number(_ place: Int, _ width: Int) -> Int {
      bytes[place..<place + width].reversed().reduce(0) { $0 << 8 | Int($1) }
    }
    #expect(number(0, 4) != 0, "the command runs under the injection")
    let count = number(4, 4)
    try #require(count <= 64512)
    let outside = bytes[24..<1024].prefix { $0 != 0 }
    return Outcome(
      status: status, output: try String(contentsOfFile: notes("stdout"), encoding: .utf8),
      error: try String(contentsOfFile: notes("stderr"), encoding: .utf8),
      calls: try bytes[1024..<1024 + count].map {
        try #require(Call(rawValue: Character(UnicodeScalar($0))))
      },
      failedCount: number(8, 4),
      changedOutside: number(12, 4) > 0 ? String(decoding: outside, as: UTF8.self) : nil,
      peakBytes: number(16, 8), processorSeconds: seconds)
  }
}

/// A process that is started and waited for.
enum Spawned {
  /// Gives the exit status, or minus the signal that ended the process, and the time of processors that it took.
  static func run(
    _ arguments: [String], environment: [String], folder: String, output: String, error: String,
    whileRunning: (pid_t) -> Void = { _ in }
  ) throws -> (status: Int32, processorSeconds: Double) {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    let flags = O_WRONLY | O_CREAT | O_TRUNC
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, flags, 0o600)
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, error, flags, 0o600)
    var process = pid_t()
    func strings(_ list: [String]) -> [UnsafeMutablePointer<CChar>?] {
      list.map { strdup($0) } + [nil]
    }
    // The shell's way to start in a directory: libc's is hidden from Swift.
    let program = "/usr/bin/env"
    let (words, variables) = (strings([program, "-C", folder] + arguments), strings(environment))
    defer { for word in words + variables { free(word) } }
    let code = posix_spawn(&process, program, &actions, nil, words, variables)
    guard code == 0 else {
      throw StorageError(call: "posix_spawn", errno: code, file: arguments[0])
    }
    whileRunning(process)
    var status: Int32 = 0
    var usage = rusage()
    while wait4(process, &status, 0, &usage) < 0 {
      guard errno == EINTR else { throw StorageError(call: "wait4", errno: errno, file: "") }
    }
    let signal = status & 0x7F
    let times = [usage.ru_utime, usage.ru_stime].map {
      Double($0.tv_sec) + Double($0.tv_usec) / 1e6
    }
    return (signal == 0 ? (status >> 8) & 0xFF : -signal, times[0] + times[1])
  }
}
