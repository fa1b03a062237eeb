import Foundation
import Glibc
import GraftCore
import TestSupport
import Testing

/// Paths that lead to no file, or to one that changes while it is read: every verb that reads tells so and leaves nothing.
struct OddInputTests {
  /// A verb and the places of its arguments where a path is read.
  struct ReadingVerb: Sendable, CustomTestStringConvertible {
    let arguments: [String]
    /// The argument that is replaced.
    let place: Int
    /// Whether a file of text is wanted there.
    var wantsText: Bool { arguments[place] == "data.txt" }
    var testDescription: String { arguments.joined(separator: " ") + " [\(place)]" }
  }

  static let verbs: [ReadingVerb] = [
    (["inspect", "in"], [1]), (["verify", "in"], [1]),
    (["verify", "adapter", "--base", "in"], [1, 3]),
    (["diff", "in", "in"], [1, 2]), (["convert", "in", "out"], [1]),
    (["merge", "in", "adapter", "--out", "out"], [1, 2]),
    (["warm-start", "model", "--vectors", "words.txt", "--out", "out"], [1, 3]),
    (["train", "model", "--data", "data.txt", "--out", "out", "--steps", "1"], [1, 3]),
    (["evaluate", "model", "--data", "data.txt"], [1, 3]),
    (["generate", "model", "--prompt-file", "data.txt", "--max-tokens", "1"], [1, 3]),
    (["report", "run", "--out", "out.html"], [1]),
  ].flatMap { row in row.1.map { ReadingVerb(arguments: row.0, place: $0) } }

  /// What stands at a path instead of a file, and the status that a verb ends with.
  enum Oddity: String, CaseIterable, Sendable {
    case nothing, fifo, device, socket, loop, dangling, emptyFolder, emptyFile, zeros

    func make(at path: String) throws {
      switch self {
      case .nothing: break
      case .fifo: try #require(mkfifo(path, 0o600) == 0)
      case .device: try link("/dev/zero", path)
      case .socket:
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        try #require(path.utf8.count < 108)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let status = withUnsafePointer(to: &address) {
          $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
          }
        }
        try #require(status == 0)
      case .loop: try link(path, path)
      case .dangling: try link(path + "-nowhere", path)
      case .emptyFolder: try Directory.create(path)
      case .emptyFile: try Data().write(to: URL(filePath: path))
      case .zeros: try Data(count: 4096).write(to: URL(filePath: path))
      }
    }

    private func link(_ target: String, _ path: String) throws {
      try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: target)
    }

    func status(of verb: ReadingVerb) -> Int32 {
      switch self {
      case .nothing, .fifo, .device, .socket, .loop, .dangling: 4
      // A directory without a model, a table or a run; where text is wanted it is no file.
      case .emptyFolder: verb.wantsText ? 4 : 3
      case .emptyFile, .zeros: 3
      }
    }
  }

  private static func prepare(_ scratch: TemporaryFolder) throws {
    let base = Graft.fixtures.appending(path: "golden/families/llama-tied")
    try Directory.create(scratch("in"))
    for name in ["config.json", "model.safetensors"] {
      try FileManager.default.copyItem(
        at: base.appending(path: name), to: scratch.url("in/" + name))
    }
    try Directory.create(scratch("adapter"))
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
      try FileManager.default.copyItem(
        at: Graft.fixtures.appending(path: "golden/lora/llama-tied/" + name),
        to: scratch.url("adapter/" + name))
    }
    try FileManager.default.createSymbolicLink(
      at: scratch.url("model"), withDestinationURL: Graft.fixtures.appending(path: "model"))
    try Data("a 1 2\nb 3 4\n".utf8).write(to: scratch.url("words.txt"))
    try Data("in the beginning\n".utf8).write(to: scratch.url("data.txt"))
  }

  @Test(arguments: verbs, Oddity.allCases)
  func `is refused with its status, at once`(verb: ReadingVerb, oddity: Oddity) throws {
    let scratch = TemporaryFolder()
    try Self.prepare(scratch)
    try oddity.make(at: scratch("odd"))
    let names = scratch.names
    var arguments = verb.arguments
    arguments[verb.place] = "odd"
    let outcome = try WatchedGraft.run(arguments, root: scratch.folder.path)
    let story: Comment = "\(arguments): \(outcome.status) \(outcome.error)"
    #expect(outcome.status == oddity.status(of: verb), story)
    #expect(outcome.output == "", story)
    #expect(outcome.error.hasPrefix("error: "), story)
    #expect(outcome.error.split(separator: "\n").count <= 3, story)
    #expect(outcome.error.contains("\n  odd"), story)
    #expect(outcome.changedOutside == nil, story)
    #expect(scratch.names == names, story)
  }

  @Test(arguments: [
    (["train", "model", "--data", "data.txt", "--out", "out", "--steps", "1"], "line 2, expected"),
    (["evaluate", "model", "--data", "data.txt"], "line 2, expected"),
    (["generate", "model", "--prompt-file", "data.txt"], "byte 8, expected"),
    (["embed", "encoder", "--data", "data.txt"], "line 2, expected"),
  ])
  func `a zero byte in a text is refused where it stands`(
    arguments: [String], place: String
  ) throws {
    let scratch = TemporaryFolder()
    try Self.prepare(scratch)
    try FileManager.default.createSymbolicLink(
      at: scratch.url("encoder"),
      withDestinationURL: Graft.fixtures.appending(path: "golden/encoders/bert"))
    try Data("in the\nb\0ginning\n".utf8).write(to: scratch.url("data.txt"))
    let outcome = try Graft.run(arguments + ["--quiet"], in: scratch.folder)
    #expect(outcome.status == 3, "\(outcome.error)")
    #expect(outcome.error.contains("\n  data.txt, " + place), "\(outcome.error)")
    #expect(outcome.error.contains("found a zero byte"), "\(outcome.error)")
    #expect(outcome.error.contains("UTF-16"), "\(outcome.error)")
  }

  @Test(arguments: WritingVerb.all.filter { !$0.isTraining })
  func `a file that is cut while it is read is an error`(verb: WritingVerb) throws {
    let given = TemporaryFolder()
    try verb.prepare(given)
    let before = FileTree(at: given.folder.path)
    let whole = try given.linked()
    let calls = try WatchedGraft.run(verb.arguments, root: whole.folder.path).calls
    for target in verb.targets {
      #expect(FileTree(at: whole.folder.path)[target] != .nothing)
    }
    var cutFiles: Set<String> = []
    for (position, call) in calls.enumerated() where call == .read {
      // Of many reads one after the other some are tried.
      let isInside =
        position > 0 && position < calls.count - 1 && calls[position - 1] == .read
        && calls[position + 1] == .read
      if isInside, position % 8 != 0 { continue }
      let folder = try given.copied()
      let outcome = try WatchedGraft.run(
        verb.arguments, root: folder.folder.path, plan: .cut(at: position + 1))
      let tree = FileTree(at: folder.folder.path)
      let story: Comment = "\(verb.name), call \(position + 1): \(outcome.status) \(outcome.error)"
      try #require(outcome.failedCount == 1, story)
      #expect([0, 3, 4].contains(outcome.status), story)
      #expect(tree.unfinished == [], story)
      let cut = before.paths.filter { tree[$0].isFirstHalf(of: before[$0]) }
      cutFiles.formUnion(cut)
      if outcome.status == 0 {
        try expectSame(verb, tree, made: given, with: cut, story)
        continue
      }
      #expect(outcome.error.hasPrefix("error: "), story)
      #expect(outcome.error.split(separator: "\n").count <= 3, story)
      for target in verb.targets {
        let isCut = cut.contains { $0 == target || $0.hasPrefix(target + "/") }
        #expect(isCut || tree[target] == before[target], story)
      }
    }
    #expect(!cutFiles.isEmpty)
  }

  /// Where a verb is done although a file was cut, it made what it makes of the file that was cut before.
  private func expectSame(
    _ verb: WritingVerb, _ tree: FileTree, made given: TemporaryFolder, with cut: [String],
    _ story: Comment
  ) throws {
    let folder = try given.copied()
    for file in cut {
      let handle = try FileHandle(forUpdating: folder.url(file))
      try handle.truncate(atOffset: handle.seekToEnd() / 2)
      try handle.close()
    }
    let outcome = try WatchedGraft.run(verb.arguments, root: folder.folder.path)
    let expected = FileTree(at: folder.folder.path)
    #expect(outcome.status == 0, "\(outcome.error), after \(story)")
    for target in verb.targets { #expect(tree[target] == expected[target], story) }
  }

  @Test(arguments: WritingVerb.all)
  func `a disk that is read-only is an error of output`(verb: WritingVerb) throws {
    let folder = TemporaryFolder()
    try verb.prepare(folder)
    let before = FileTree(at: folder.folder.path)
    let outcome = try WatchedGraft.run(
      verb.arguments, root: folder.folder.path, plan: .readOnly)
    #expect(outcome.status == 4, "\(outcome.error)")
    #expect(outcome.error.contains("Read-only file system"), "\(outcome.error)")
    #expect(FileTree(at: folder.folder.path) == before)
  }

  @Test(arguments: ["out.safetensors", "out"])
  func `a target that can't be read isn't taken for something else`(target: String) throws {
    let scratch = TemporaryFolder()
    try Self.prepare(scratch)
    // A link, which leads to another file system perhaps.
    try FileManager.default.removeItem(at: scratch.url("model"))
    let arguments = ["convert", "in", target, "--allow-loss", "--threads", "1", "--quiet"]
    try #require(try Graft.run(arguments, in: scratch.folder).status == 0)
    let before = FileTree(at: scratch.folder.path)
    let calls = try WatchedGraft.run(arguments, root: scratch.folder.path).calls
    var errors: [String] = []
    for (place, call) in calls.enumerated() where call == .open || call == .list {
      let folder = try scratch.linked()
      let outcome = try WatchedGraft.run(
        arguments, root: folder.folder.path, plan: .error(at: place + 1, EACCES))
      #expect(FileTree(at: folder.folder.path)[target] == before[target])
      // What a killed process may have left isn't looked for, then.
      if outcome.status == 0, call == .list { continue }
      #expect(outcome.status == 4, "call \(place + 1): \(outcome.error)")
      #expect(outcome.error.contains("Permission denied\n"), "\(outcome.error)")
      errors.append(outcome.error)
    }
    let remedy = "what stands there can't be read, and would be lost; name another target"
    #expect(errors.contains { $0.contains("\n  \(target)\n  \(remedy)") }, "\(errors)")
  }

  /// Names of tensors that a file system may fold, reserve, cut or not have.
  private static let oddNames = [
    "A", "a", "con", "AUX.weight", "nul", "x ", "é", "=cmd|'/C calc'!A0", "@SUM(A1)",
    String(repeating: "n", count: 300),
  ]

  @Test(arguments: ["out", "out.h5", "out.weights.h5", "out.pt", "out.npz"])
  func `names that other systems fold, reserve or cut come back`(target: String) throws {
    let scratch = TemporaryFolder()
    let rows = Self.oddNames.enumerated().map { number, name in
      (name, ["dtype": "U8", "shape": [1], "data_offsets": [number, number + 1]] as [String: Any])
    }
    let header = try JSONSerialization.data(
      withJSONObject: Dictionary(uniqueKeysWithValues: rows))
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
    let bytes = Data((0..<rows.count).map { UInt8($0) })
    try (Data(length) + header + bytes).write(to: scratch.url("in.safetensors"))
    for arguments in [
      ["convert", "in.safetensors", target],
      ["convert", target, "back.safetensors", "--allow-loss"],
    ] {
      let outcome = try Graft.run(arguments + ["--quiet"], in: scratch.folder)
      #expect(outcome.status == 0, "\(outcome.error)")
    }
    let same = try Graft.run("diff", "in.safetensors", "back.safetensors", in: scratch.folder)
    #expect(same.output == "\(rows.count) tensors equal\n")
    // A name is never that of a file.
    let names = ["back.safetensors", "in.safetensors", target]
    #expect(scratch.names == names.sorted())
  }

  @Test func `a limit on the size of files is an error of output, and leaves nothing`() throws {
    let scratch = TemporaryFolder()
    try Self.prepare(scratch)
    let names = scratch.names
    for target in ["out", "out.h5", "out.safetensors"] {
      let (output, status) = try Shell.run(
        "ulimit -f 100; exec graft convert in \(target) --allow-loss --quiet 2>&1",
        in: scratch.folder.path)
      #expect(status == 4, "\(output)")
      #expect(output.hasPrefix("error: "), "\(output)")
      #expect(output.contains("File too large"), "\(output)")
      #expect(scratch.names == names)
    }
  }

  @Test(arguments: ["out.h5", "zstd.h5 --compress zstd", "out.weights.h5"])
  func `a limit that the layout of many datasets meets is an error too`(target: String) throws {
    let scratch = TemporaryFolder()
    let rows = (0..<8000).map { place in
      #""layers.\#(place).w":{"dtype":"U8","shape":[1],"data_offsets":[\#(place),\#(place + 1)]}"#
    }
    let header = Data("{\(rows.joined(separator: ","))}".utf8)
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
    try (Data(length) + header + Data(count: rows.count)).write(to: scratch.url("in.safetensors"))
    for limit in [50, 500, 1000] {
      let (output, status) = try Shell.run(
        "ulimit -f \(limit); exec graft convert in.safetensors \(target) --allow-loss --quiet 2>&1",
        in: scratch.folder.path)
      #expect(status == 4, "\(output)")
      #expect(output.hasPrefix("error: "), "\(output)")
      #expect(scratch.names == ["in.safetensors"])
    }
  }

  @Test func `a file's folder gives what models have, and links to folders lead nowhere`() throws {
    let scratch = TemporaryFolder()
    try Self.prepare(scratch)
    let folder = scratch.url("folder")
    try FileManager.default.createDirectory(
      at: folder.appending(path: "other"), withIntermediateDirectories: true)
    for name in ["model.safetensors", "config.json", "tokenizer.json"] {
      try FileManager.default.copyItem(
        at: Graft.fixtures.appending(path: "model/" + name), to: folder.appending(path: name))
    }
    for name in ["secret.txt", "train.py", "other/notes.json"] {
      try Data("mine".utf8).write(to: folder.appending(path: name))
    }
    try FileManager.default.createSymbolicLink(
      atPath: folder.appending(path: "loop").path, withDestinationPath: ".")
    func convert(_ source: String, to target: String) throws -> [String] {
      let outcome = try Graft.run("convert", source, target, "--quiet", in: scratch.folder)
      #expect(outcome.status == 0, "\(outcome.error)")
      return try FileManager.default.subpathsOfDirectory(atPath: scratch(target)).sorted()
    }
    let own = ["config.json", "model.safetensors", "tokenizer.json"]
    #expect(try convert("folder/model.safetensors", to: "of-file") == own)
    let others = ["other", "other/notes.json", "secret.txt", "train.py"]
    #expect(try convert("folder", to: "of-folder") == (own + others).sorted())
  }

  /// Whether this process may mount a file system for its children alone.
  private static let mayMount: Bool = {
    let command = "unshare -m sh -c 'mount -t tmpfs -o size=64k none /mnt' 2>/dev/null"
    return (try? Shell.run(command, in: "/")).map { $0.status == 0 } ?? false
  }()

  private static let cannotMount: Comment =
    "no file system can be mounted in a namespace: that takes root, or unshare -m and mount"

  @Test(.enabled(if: mayMount, cannotMount))
  func `what compresses needs the room that it takes`() throws {
    let scratch = TemporaryFolder()
    let header = #"{"zeros":{"dtype":"F32","shape":[1024,2048],"data_offsets":[0,8388608]}}"#
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> (8 * $0)) }
    try (Data(length) + Data(header.utf8) + Data(count: 8_388_608)).write(
      to: scratch.url("zeros.safetensors"))
    for (options, expected) in [("--compress zstd", 0), ("", 4)] as [(String, Int32)] {
      let (output, status) = try Shell.run(
        """
        exec unshare -m sh -c 'mount -t tmpfs -o size=1024k none /mnt && \
        graft convert zeros.safetensors /mnt/zeros.h5 \(options) --quiet 2>&1 && \
        graft verify /mnt/zeros.h5 --quiet'
        """, in: scratch.folder.path)
      #expect(status == expected, "\(output)")
    }
  }

  @Test(
    .enabled(if: mayMount, cannotMount),
    arguments: ["out", "out.h5", "out.safetensors", "zstd.h5 --compress zstd"])
  func `a disk that is full is an error of output, and leaves nothing`(target: String) throws {
    let scratch = TemporaryFolder()
    try Self.prepare(scratch)
    var fullCount = 0
    for kibibytes in [64, 192, 256, 270, 288] {
      let (output, status) = try Shell.run(
        """
        exec unshare -m sh -c 'mount -t tmpfs -o size=\(kibibytes)k none /mnt && \
        graft convert in /mnt/\(target) --allow-loss --quiet 2>&1; status=$?; ls -A /mnt; exit $status'
        """, in: scratch.folder.path)
      if status == 0 { continue }
      fullCount += 1
      #expect(status == 4, "\(kibibytes) KiB, \(target): \(output)")
      #expect(output.hasPrefix("error: "), "\(output)")
      // Nothing is listed after the message.
      #expect(
        output.split(separator: "\n").allSatisfy { $0.hasPrefix("error: ") || $0.hasPrefix("  ") },
        "\(output)")
    }
    #expect(fullCount > 0, "no disk was full")
  }

  @Test(arguments: [
    ["convert", "in", "in", "--dtype", "f16"],
    ["convert", "in", "in", "--max-shard-size", "100KB"],
    ["convert", "one.safetensors", "one.safetensors", "--dtype", "bf16"],
    ["convert", "one.h5", "one.h5", "--compress", "zstd"],
    ["convert", "words.txt", "words.txt", "--to", "glove"],
    ["merge", "in", "adapter", "--out", "in"],
  ])
  func `input and output may be one path`(arguments: [String]) throws {
    let scratch = TemporaryFolder()
    try Self.prepare(scratch)
    for file in ["one.safetensors", "one.h5"] {
      let made = try Graft.run(
        "convert", "in", file, "--allow-loss", "--quiet", in: scratch.folder)
      #expect(made.status == 0, "\(made.error)")
    }
    let apart = TemporaryFolder()
    let suffix = URL(filePath: arguments[1]).pathExtension
    let target = apart("out" + (suffix.isEmpty ? "" : "." + suffix))
    var other = arguments
    other[arguments[0] == "merge" ? 4 : 2] = target
    let expected = try Graft.run(other + ["--quiet"], in: scratch.folder)
    #expect(expected.status == 0, "\(expected.error)")
    let outcome = try Graft.run(arguments + ["--quiet"], in: scratch.folder)
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(FileTree(at: scratch(arguments[1])) == FileTree(at: target))
    #expect(FileTree(at: scratch.folder.path).unfinished == [])
  }
}
