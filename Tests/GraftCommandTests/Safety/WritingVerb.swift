import Foundation
import TestSupport
import Testing

/// A verb that writes, with small inputs of its own; everything that writes has a row here.
struct WritingVerb: Sendable, CustomTestStringConvertible {
  let name: String
  /// The command, run where the inputs are.
  let arguments: [String]
  /// What the verb makes, each of which appears whole, in an order of its own.
  let targets: [String]
  /// Whether the targets are of use together alone: the last of them appears when the others are there, and without it they are nothing.
  let isJoint: Bool
  /// Whether a killed run is gone on with, instead of being started again.
  let isTraining: Bool
  /// What stands there before, made of copies of `Fixtures` and by other verbs.
  private let given: [Ingredient]

  enum Ingredient: Sendable {
    case copy(String, as: String)
    case text(String, as: String)
    case mode(mode_t, of: String)
    case graft([String])
    /// A run that is killed in its second step.
    case killedRun([String])
  }

  var testDescription: String { name }

  private init(
    _ name: String, _ given: [Ingredient], _ arguments: [String], makes targets: [String],
    isJoint: Bool = false, isTraining: Bool = false
  ) {
    self.name = name
    self.given = given
    self.arguments = arguments + ["--quiet"]
    self.targets = targets
    self.isJoint = isJoint
    self.isTraining = isTraining
  }

  /// Whether a run keeps what it made at each save.
  var keepsSnapshots: Bool { arguments.contains("--keep-last") }

  /// Puts the inputs into a folder.
  func prepare(_ folder: TemporaryFolder) throws {
    for ingredient in given {
      switch ingredient {
      case .copy(let source, let name):
        let target = folder.url(name)
        try FileManager.default.createDirectory(
          at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
        try FileManager.default.copyItem(at: Graft.fixtures.appending(path: source), to: target)
      case .text(let text, let name):
        let target = folder.url(name)
        try FileManager.default.createDirectory(
          at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: target)
      case .mode(let mode, let name): try #require(chmod(folder(name), mode) == 0)
      case .graft(let arguments):
        let outcome = try Graft.run(arguments + ["--quiet"], in: folder.folder)
        try #require(outcome.status == 0, "\(outcome.error)")
      case .killedRun(let arguments):
        let whole = try folder.linked()
        let calls = try withExtendedLifetime(whole) {
          try WatchedGraft.run(arguments, root: whole.folder.path).calls
        }
        // The second step's line follows the first save's last call, and is forced before the second save.
        let lines = calls.indices.dropFirst().dropLast().filter {
          calls[$0 - 1...$0 + 1] == [.remove, .write, .synchronize]
        }
        try #require(lines.count == 1)
        let outcome = try WatchedGraft.run(
          arguments, root: folder.folder.path, plan: .kill(at: lines[0] + 1))
        try #require(outcome.status == -SIGKILL)
      }
    }
  }

  /// Whether targets that are of use together alone are there in part, and look as if they weren't.
  func isBroken(in tree: FileTree) -> Bool {
    targets.last.map { tree[$0] != .nothing } ?? false
      && targets.contains { tree[$0] == .nothing }
  }

  /// The arguments with which a killed run is made again.
  func again(after tree: FileTree) -> [String] {
    guard isTraining, tree["out/training_log.jsonl"] != .nothing, !arguments.contains("--resume")
    else { return arguments }
    return arguments + ["--resume"]
  }

  // MARK: - The rows

  private static let adapterFiles = ["adapter_config.json", "adapter_model.safetensors"]
  private static func adapter(as name: String) -> [Ingredient] {
    adapterFiles.map { .copy("golden/lora/llama-tied/" + $0, as: name + "/" + $0) }
  }
  /// Eight tensors of 14 KB, a configuration and a file further below.
  private static let small = adapter(as: "in") + [.text("{}", as: "in/1_Pooling/config.json")]
  /// Its tensors as weights, which may be cut into shards.
  private static let weights: [Ingredient] = [
    .copy("golden/lora/llama-tied/adapter_model.safetensors", as: "in/model.safetensors"),
    .text("{}", as: "in/1_Pooling/config.json"),
  ]
  /// The tensors by themselves.
  private static let tensors: [Ingredient] = [
    .copy("golden/lora/llama-tied/adapter_model.safetensors", as: "in.safetensors")
  ]
  private static let base: [Ingredient] = ["config.json", "model.safetensors"].map {
    .copy("golden/families/llama-tied/" + $0, as: "base/" + $0)
  }
  private static let model: [Ingredient] = [.copy("model", as: "model")]
  private static let data: [Ingredient] = [
    .text(String(repeating: "in the beginning ", count: 64), as: "data.txt")
  ]
  private static let training = [
    "train", "model", "--data", "data.txt", "--out", "out", "--steps", "2", "--batch-size", "1",
    "--sequence-length", "16", "--save-every", "1", "--threads", "1",
  ]

  static let all = conversions + others + trainings

  /// A conversion on one thread, which leaves away what it can't keep.
  private static func convert(
    _ name: String, _ given: [Ingredient], _ arguments: [String], makes targets: [String] = ["out"],
    isJoint: Bool = false
  ) -> WritingVerb {
    WritingVerb(
      name, given, ["convert"] + arguments + ["--threads", "1", "--allow-loss"], makes: targets,
      isJoint: isJoint)
  }

  private static let conversions = [
    convert("a new directory", small, ["in", "out"]),
    convert(
      "another directory", small + [.graft(["convert", "in", "out", "--dtype", "f16"])],
      ["in", "out", "--overwrite"]),
    convert(
      "shards", weights + [.graft(["convert", "in", "out"])],
      ["in", "out", "--max-shard-size", "6KB"]),
    convert(
      "a file",
      small + [
        .graft(["convert", "in", "out.safetensors", "--allow-loss"]),
        .mode(0o640, of: "out.safetensors"),
      ],
      ["in", "out.safetensors", "--dtype", "f16"], makes: ["out.safetensors"]),
    convert(
      "a file of tiles", small, ["in", "out.safetensors", "--dtype", "bf16"],
      makes: ["out.safetensors"]),
    convert("the input itself", small, ["in", "in", "--dtype", "f16"], makes: ["in"]),
    convert(
      "HDF5", small + [.graft(["convert", "in", "out.h5", "--dtype", "f16"])], ["in", "out.h5"],
      makes: ["out.h5"]),
    // What is smaller isn't compressed.
    convert("compressed HDF5", base, ["base", "out.h5", "--compress", "zstd"], makes: ["out.h5"]),
    convert(
      "a directory out of HDF5", small + [.graft(["convert", "in", "in.h5"])], ["in.h5", "out"]),
    convert("Keras", tensors, ["in.safetensors", "out.weights.h5"], makes: ["out.weights.h5"]),
    convert(
      "an archive of Keras",
      [
        .copy("golden/keras/model.keras", as: "in.keras"),
        .graft(["convert", "in.keras", "out.keras", "--dtype", "f16"]),
      ], ["in.keras", "out.keras"], makes: ["out.keras"]),
    // It is unpacked into a file without a name.
    convert(
      "out of a deflated archive",
      [.copy("../Formats/keras/accept/deflated.keras", as: "in.keras")],
      ["in.keras", "out.h5"], makes: ["out.h5"]),
    convert(
      "GGUF",
      tensors + [.graft(["convert", "in.safetensors", "out.gguf", "--allow-loss"])],
      ["in.safetensors", "out.gguf", "--dtype", "f16"], makes: ["out.gguf"]),
    convert(
      "GGUF in parts", tensors, ["in.safetensors", "out.gguf", "--max-shard-size", "3KB"],
      makes: [2, 3, 1].map { "out-0000\($0)-of-00003.gguf" }, isJoint: true),
    convert("PyTorch", tensors, ["in.safetensors", "out.pt"], makes: ["out.pt"]),
    convert("a PyTorch directory", small, ["in", "out", "--to", "torch"]),
    convert("NumPy", tensors, ["in.safetensors", "out.npz"], makes: ["out.npz"]),
    convert(
      "word2vec",
      [
        .copy("vectors/newtestament-50.glove.txt", as: "in.txt"),
        .text("1 1\na 1\n", as: "out.bin"),
      ],
      ["in.txt", "out.bin", "--to", "word2vec"], makes: ["out.bin"]),
    convert(
      "GloVe", [.copy("vectors/newtestament-50.w2v.txt", as: "in.txt")],
      ["in.txt", "out.txt", "--to", "glove"], makes: ["out.txt"]),
  ]

  private static let others = [
    WritingVerb(
      "merge", base + adapter(as: "adapter") + [.graft(["convert", "base", "out"])],
      ["merge", "base", "adapter", "--out", "out", "--threads", "1"], makes: ["out"]),
    WritingVerb(
      "warm-start",
      model + [.copy("vectors/newtestament-50.glove.txt", as: "in.txt")],
      [
        "warm-start", "model", "--vectors", "in.txt", "--out", "out", "--report", "report.json",
        "--threads", "1",
      ], makes: ["out", "report.json"]),
    WritingVerb(
      "repair",
      weights + [
        .graft(["convert", "in", "broken", "--max-shard-size", "6KB"]),
        .text("{", as: "broken/model.safetensors.index.json"),
      ],
      ["verify", "broken", "--repair", "--out", "out", "--threads", "1"], makes: ["out"]),
    WritingVerb(
      "a page of tensors", small,
      ["inspect", "in", "--html", "page.html", "--histograms", "--threads", "1"],
      makes: ["page.html"]),
    WritingVerb(
      "a page of a run", model + data + [.graft(training + ["--rank", "2"])],
      ["report", "out", "--out", "report.html"], makes: ["report.html"]),
  ]

  private static let trainingAdapter =
    training + [
      "--rank", "2", "--keep-last", "1", "--validation", "data.txt", "--evaluate-every", "1",
      "--keep-best",
    ]
  private static let run = ["adapter_model.safetensors", "training_state", "snapshots/step-2"].map {
    "out/" + $0
  }

  private static let trainings = [
    WritingVerb(
      "train", model + data, trainingAdapter, makes: run + ["out/adapter_config.json"],
      isTraining: true),
    WritingVerb(
      "train on", model + data + [.killedRun(trainingAdapter)], trainingAdapter + ["--resume"],
      makes: run, isTraining: true),
    WritingVerb(
      "train a whole model", model + data + [.text("{}", as: "model/1_Pooling/2/config.json")],
      training + ["--full"],
      makes: [
        "out/model.safetensors", "out/config.json", "out/1_Pooling/2/config.json",
        "out/training_state",
      ],
      isTraining: true),
  ]
}
