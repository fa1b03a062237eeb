import Foundation

/// README.md and the pages of the manual.
enum Documentation {
  /// The page that the others go on from.
  static let gettingStarted = "Manual/Getting-started.md"
  /// The verbs, each with a page of its name.
  static let verbs = [
    "inspect", "verify", "diff", "convert", "warm-start", "train", "evaluate", "generate", "merge",
  ]
  /// The pages with console blocks.
  static let pages =
    ["README.md", gettingStarted, "Manual/Architecture.md"] + verbs.map { "Manual/\($0).md" }

  /// The checkout.
  static let root = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path

  static func text(of page: String) throws -> String {
    try String(contentsOfFile: root + "/" + page, encoding: .utf8)
  }

  /// The long options that a text names.
  static func options(in text: String) -> Set<String> {
    Set(
      text.matches(of: /(?:^|[^a-z-])(--[a-z][a-z-]*)/.anchorsMatchLineEndings()).map {
        String($0.1)
      })
  }

  // MARK: - Running pages

  /// What ran, and where.
  struct Run {
    let directory: ScratchDirectory
    let differences: [String]
  }

  /// The first page, run once.
  static let started = Result {
    let directory = try ScratchDirectory()
    for (name, target) in [
      ("model", "Fixtures/model"), ("vectors.bin", "Fixtures/vectors/newtestament.bin"),
      ("gospels.txt", "Fixtures/text/gospels.txt"),
      ("revelation.txt", "Fixtures/text/revelation.txt"),
    ] {
      try FileManager.default.createSymbolicLink(
        atPath: directory.path + "/" + name, withDestinationPath: root + "/" + target)
    }
    return Run(directory: directory, differences: try run(gettingStarted, in: directory))
  }

  /// A copy of the directory as the first page leaves it.
  static func startedCopy() throws -> ScratchDirectory {
    let copy = try ScratchDirectory()
    let original = try started.get().directory.path
    for name in try FileManager.default.contentsOfDirectory(atPath: original) {
      try FileManager.default.copyItem(
        atPath: original + "/" + name, toPath: copy.path + "/" + name)
    }
    return copy
  }

  /// Runs a page's console blocks in order and tells where the output isn't the page's.
  static func run(_ page: String, in directory: ScratchDirectory) throws -> [String] {
    var status: Int32 = 0
    var differences: [String] = []
    for step in ConsoleStep.all(in: try text(of: page)) {
      let result = try Shell.run(step.command, after: status, in: directory.path)
      status = result.status
      let printed = result.output.split(separator: "\n", omittingEmptySubsequences: false)
        .filter { $0.wholeMatch(of: /\w+: +\d+ %  .*/) == nil }.map(String.init)
      if let difference = step.difference(from: printed) { differences.append(difference) }
    }
    return differences
  }
}

/// A directory that goes with its last reference.
final class ScratchDirectory: Sendable {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appending(path: "graft-manual-\(UUID())").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Runs command lines as a reader of the manual would, with the built `graft` in the path.
enum Shell {
  /// - Parameter status: what `$?` is in the command.
  static func run(_ command: String, after status: Int32 = 0, in directory: String) throws
    -> (output: String, status: Int32)
  {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(filePath: "/bin/sh")
    process.arguments = ["-c", "(exit \(status)); \(command)"]
    process.currentDirectoryURL = URL(filePath: directory)
    process.environment = ProcessInfo.processInfo.environment.merging(
      ["PATH": "\(products):/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"]
    ) { $1 }
    process.standardInput = FileHandle.nullDevice
    (process.standardOutput, process.standardError) = (pipe, pipe)
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (String(decoding: output, as: UTF8.self), process.terminationStatus)
  }

  /// The folder of the running tests, where the build puts the command too.
  private static let products = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
    .deletingLastPathComponent().path
}
