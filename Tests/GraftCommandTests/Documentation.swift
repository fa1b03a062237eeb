import Foundation
import TestSupport
import Testing

/// README.md and the pages of the manual.
enum Documentation {
  /// The page that the others go on from.
  static let gettingStarted = "Manual/Getting-started.md"
  /// The verbs, each with a page of its name.
  static let verbs = [
    "inspect", "verify", "diff", "convert", "warm-start", "train", "report", "evaluate", "generate",
    "embed", "merge", "plan",
  ]
  /// The pages that go on from there: a verb each, and formats.
  static let pages = ["README.md"] + verbs.map { "Manual/\($0).md" } + formatPages
  /// Pages of formats.
  static let formatPages = [
    "Manual/safetensors.md", "Manual/gguf.md", "Manual/hdf5.md", "Manual/keras.md",
    "Manual/numpy.md", "Manual/pytorch.md", "Manual/word-vectors.md",
  ]
  /// Pages without console blocks.
  static let otherPages = [
    "Manual/Architecture.md", "Manual/Benchmarks.md", "Manual/Safety.md", "CHANGELOG.md",
    "Formats/README.md",
  ]

  /// The checkout.
  static let root = Repository.root

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

  /// A directory with the links that the first page asks for.
  static func beginning() throws -> TemporaryFolder {
    let directory = TemporaryFolder()
    for (name, target) in [
      ("model", "Fixtures/model"), ("encoder", "Fixtures/golden/encoders/bert"),
      ("vectors.bin", "Fixtures/vectors/newtestament.bin"),
      ("fasttext.bin", "Fixtures/golden/fasttext/gospels.bin"),
      ("static", "Fixtures/golden/static-embeddings/model2vec"),
      ("kohya.safetensors", "Fixtures/golden/layouts/kohya.safetensors"),
      ("mlx-model", "Fixtures/golden/layouts/mlx-model"),
      ("gospels.txt", "Fixtures/text/gospels.txt"),
      ("revelation.txt", "Fixtures/text/revelation.txt"), ("keras", "Fixtures/golden/keras"),
      ("external.h5", "Formats/hdf5/reject/keras-layer-external.h5"),
      ("checkpoint.pt", "Fixtures/golden/pytorch/archive.pt"),
      ("arrays.npz", "Fixtures/golden/numpy/arrays.npz"),
    ] {
      try FileManager.default.createSymbolicLink(
        atPath: directory(name), withDestinationPath: root + "/" + target)
    }
    return directory
  }

  /// A copy of a directory.
  static func copy(of original: TemporaryFolder) throws -> TemporaryFolder {
    let copy = TemporaryFolder()
    for name in original.names {
      try FileManager.default.copyItem(atPath: original(name), toPath: copy(name))
    }
    return copy
  }

  /// Runs a page's console blocks in order and tells where the output isn't the page's.
  static func run(_ page: String, in directory: TemporaryFolder) throws -> [String] {
    var status: Int32 = 0
    var differences: [String] = []
    for step in ConsoleStep.all(in: try text(of: page)) {
      let result = try Shell.run(step.command, after: status, in: directory.folder.path)
      status = result.status
      let printed = result.output.split(separator: "\n", omittingEmptySubsequences: false)
        .filter { $0.wholeMatch(of: /\w+: +\d+ %  .*/) == nil }.map(String.init)
      if let difference = step.difference(from: printed) { differences.append(difference) }
    }
    return differences
  }
}

/// Runs command lines as a reader of the manual would, with the built `graft` in the path.
enum Shell {
  /// - Parameter status: what `$?` is in the command.
  static func run(_ command: String, after status: Int32 = 0, in directory: String) throws
    -> (output: String, status: Int32)
  {
    let products = try #require(Graft.executable).deletingLastPathComponent().path
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
}
