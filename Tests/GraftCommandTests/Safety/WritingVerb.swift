import Foundation
import Testing

/// A verb that writes, with small inputs of its own; everything that writes has a row here.
struct WritingVerb: Sendable, CustomTestStringConvertible {
  let name: String
  /// The command, run where the inputs are.
  let arguments: [String]
  /// What the verb makes, each of which appears whole, in an order of its own.
  let targets: [String]
  /// Whether a killed run is gone on with, instead of being started again.
  let isTraining: Bool
  /// What stands there before, made of copies of `Fixtures` and by other verbs.
  private let given: [Ingredient]

  enum Ingredient: Sendable {
    case copy(String, as: String)
    case text(String, as: String)
    case graft([String])
  }

  var testDescription: String { name }

  private init(
    _ name: String, _ given: [Ingredient], _ arguments: [String], makes targets: [String],
    isTraining: Bool = false
  ) {
    self.name = name
    self.given = given
    self.arguments = arguments + ["--quiet"]
    self.targets = targets
    self.isTraining = isTraining
  }

  /// Puts the inputs into a folder.
  func prepare(_ folder: Scratch) throws {
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
      case .graft(let arguments):
        let outcome = try Graft.run(arguments + ["--quiet"], in: folder.folder)
        try #require(outcome.status == 0, "\(outcome.error)")
      }
    }
  }

  /// The arguments with which a killed run is made again.
  func again(after tree: FileTree) -> [String] {
    guard isTraining, tree["out/training_log.jsonl"] != .nothing, !arguments.contains("--resume")
    else { return arguments }
    return arguments + ["--resume"]
  }

  // MARK: - The rows

  private static let base = "golden/families/llama-tied/"
  private static let smallModel: [Ingredient] = [
    .copy(base + "config.json", as: "in/config.json"),
    .copy(base + "model.safetensors", as: "in/model.safetensors"),
    .text("{}", as: "in/1_Pooling/config.json"),
  ]
  private static let adapter: [Ingredient] = [
    .copy("golden/lora/llama-tied/adapter_config.json", as: "adapter/adapter_config.json"),
    .copy(
      "golden/lora/llama-tied/adapter_model.safetensors", as: "adapter/adapter_model.safetensors"),
  ]
  private static let model: [Ingredient] = [.copy("model", as: "model")]
  private static let data: [Ingredient] = [
    .text(String(repeating: "in the beginning ", count: 64), as: "data.txt")
  ]
  private static let training = [
    "train", "model", "--data", "data.txt", "--out", "out", "--steps", "2", "--batch-size", "1",
    "--sequence-length", "16", "--save-every", "1", "--threads", "1",
  ]

  static let all: [WritingVerb] = [
    WritingVerb(
      "a new directory", smallModel, ["convert", "in", "out", "--threads", "1"], makes: ["out"]),
    WritingVerb(
      "another directory", smallModel + [.graft(["convert", "in", "out", "--dtype", "f16"])],
      ["convert", "in", "out", "--threads", "1", "--overwrite"], makes: ["out"]),
    WritingVerb(
      "shards", smallModel + [.graft(["convert", "in", "out"])],
      ["convert", "in", "out", "--max-shard-size", "100KB", "--threads", "1"], makes: ["out"]),
    WritingVerb(
      "a file",
      smallModel + [
        .graft(["convert", "in", "out.safetensors", "--dtype", "f16", "--allow-loss"])
      ],
      ["convert", "in", "out.safetensors", "--threads", "1", "--allow-loss"],
      makes: ["out.safetensors"]),
    WritingVerb(
      "a file of tiles", smallModel,
      ["convert", "in", "out.safetensors", "--dtype", "bf16", "--threads", "1", "--allow-loss"],
      makes: ["out.safetensors"]),
    WritingVerb(
      "the input itself", smallModel,
      ["convert", "in", "in", "--dtype", "f16", "--threads", "1"], makes: ["in"]),
    WritingVerb(
      "HDF5", smallModel + [.graft(["convert", "in", "out.h5", "--dtype", "f16"])],
      ["convert", "in", "out.h5", "--threads", "1"], makes: ["out.h5"]),
    WritingVerb(
      "compressed HDF5", smallModel,
      ["convert", "in", "out.h5", "--compress", "zstd", "--threads", "1"], makes: ["out.h5"]),
    WritingVerb(
      "an archive of Keras",
      [
        .copy("golden/keras/model.keras", as: "in.keras"),
        .graft(["convert", "in.keras", "out.keras", "--dtype", "f16"]),
      ], ["convert", "in.keras", "out.keras", "--threads", "1"], makes: ["out.keras"]),
    WritingVerb(
      "a directory out of HDF5", smallModel + [.graft(["convert", "in", "in.h5"])],
      ["convert", "in.h5", "out", "--threads", "1"], makes: ["out"]),
    WritingVerb(
      "word2vec",
      [
        .copy("vectors/newtestament-50.glove.txt", as: "in.txt"),
        .text("1 1\na 1\n", as: "out.bin"),
      ],
      ["convert", "in.txt", "out.bin", "--to", "word2vec", "--threads", "1"], makes: ["out.bin"]),
    WritingVerb(
      "GloVe", [.copy("vectors/newtestament-50.w2v.txt", as: "in.txt")],
      ["convert", "in.txt", "out.txt", "--to", "glove", "--threads", "1"], makes: ["out.txt"]),
    WritingVerb(
      "merge", smallModel + adapter + [.graft(["convert", "in", "out"])],
      ["merge", "in", "adapter", "--out", "out", "--threads", "1"], makes: ["out"]),
    WritingVerb(
      "warm-start",
      model + [.copy("vectors/newtestament-50.glove.txt", as: "in.txt")],
      [
        "warm-start", "model", "--vectors", "in.txt", "--out", "out", "--report", "report.json",
        "--threads", "1",
      ], makes: ["out", "report.json"]),
    WritingVerb(
      "train", model + data, training + ["--rank", "2", "--keep-last", "1"],
      makes: [
        "out/adapter_model.safetensors", "out/adapter_config.json", "out/training_state",
        "out/snapshots/step-2",
      ], isTraining: true),
    WritingVerb(
      "train a whole model", model + data, training + ["--full"],
      makes: ["out/model.safetensors", "out/config.json", "out/training_state"],
      isTraining: true),
    WritingVerb(
      "report", model + data + [.graft(training + ["--rank", "2"])],
      ["report", "out", "--out", "report.html"], makes: ["report.html"]),
  ]
}
