import Foundation
import GraftCore
import TestSupport

/// The built command, run as a user runs it, in the `Fixtures` directory.
enum Graft {
  /// What a call gave.
  struct Outcome {
    let status: Int32
    let output: String
    let error: String
    /// The largest resident size that was seen.
    let peakBytes: Int
    /// The largest resident size beside mapped files that was seen.
    let anonymousPeakBytes: Int
  }

  /// The executable that was built beside the running tests.
  static let executable: URL? = {
    var folder = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
    for _ in 0..<4 {
      folder.deleteLastPathComponent()
      let candidate = folder.appending(path: "graft")
      if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
    }
    // The tests may run inside a helper of the toolchain, which is told the bundle.
    for argument in CommandLine.arguments where argument.hasSuffix(".xctest") {
      let candidate = URL(filePath: argument).deletingLastPathComponent().appending(path: "graft")
      if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
    }
    return nil
  }()

  static let fixtures = URL(filePath: Repository.path("Fixtures"))

  /// Runs `graft` and waits for its end.
  static func run(_ arguments: String..., in folder: URL = fixtures) throws -> Outcome {
    try run(arguments, in: folder)
  }

  /// Runs `graft` with a list of arguments and waits for its end.
  static func run(
    _ arguments: [String], in folder: URL = fixtures, environment: [String: String] = [:]
  ) throws -> Outcome {
    guard let executable else { throw StorageError(.notFound, file: "graft") }
    let scratch = TemporaryFolder()
    let (output, error) = (scratch.url("stdout"), scratch.url("stderr"))
    for file in [output, error] { try Data().write(to: file) }
    let process = Process()
    process.executableURL = executable
    process.arguments = arguments
    process.currentDirectoryURL = folder
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: output)
    process.standardError = try FileHandle(forWritingTo: error)
    try process.run()
    var (peak, anonymousPeak) = (0, 0)
    while process.isRunning {
      let status = ProcessStatus(process.processIdentifier)
      peak = max(peak, status.byteCount("VmHWM"))
      anonymousPeak = max(anonymousPeak, status.byteCount("RssAnon"))
      usleep(2000)
    }
    process.waitUntilExit()
    return Outcome(
      status: process.terminationStatus, output: try String(contentsOf: output, encoding: .utf8),
      error: try String(contentsOf: error, encoding: .utf8), peakBytes: peak,
      anonymousPeakBytes: anonymousPeak)
  }
}

/// What the system says of a process.
private struct ProcessStatus {
  private let lines: [Substring]

  /// Of a process that has ended it says nothing.
  init(_ process: Int32) {
    let text = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
    lines = text.split(separator: "\n")
  }

  /// A line's number of KiB, in bytes; 0 without the line.
  func byteCount(_ key: String) -> Int {
    let words = lines.first { $0.hasPrefix(key + ":") }?.split { $0 == " " || $0 == "\t" }
    return (words?.dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
  }
}

extension TemporaryFolder {
  /// Where it is.
  var folder: URL { URL(filePath: path, directoryHint: .notDirectory) }

  /// Where something in it is.
  func url(_ name: String) -> URL { folder.appending(path: name) }
}
