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
    var peak = 0
    while process.isRunning {
      peak = max(peak, peakBytes(of: process.processIdentifier))
      usleep(2000)
    }
    process.waitUntilExit()
    return Outcome(
      status: process.terminationStatus, output: try String(contentsOf: output, encoding: .utf8),
      error: try String(contentsOf: error, encoding: .utf8), peakBytes: peak)
  }

  /// `VmHWM` of a process, which never falls.
  private static func peakBytes(of process: Int32) -> Int {
    let status = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    return (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
  }
}

extension TemporaryFolder {
  /// Where it is.
  var folder: URL { URL(filePath: path, directoryHint: .notDirectory) }

  /// Where something in it is.
  func url(_ name: String) -> URL { folder.appending(path: name) }
}
