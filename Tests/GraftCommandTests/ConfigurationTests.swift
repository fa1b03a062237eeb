import Foundation
import TestSupport
import Testing

/// Options from a file beside those of the command line.
@Suite struct `Options from a file` {
  private let scratch = TemporaryFolder()

  private func file(_ lines: String..., name: String = "train.yaml") throws -> String {
    try file(lines, name: name)
  }

  private func file(_ lines: [String], name: String) throws -> String {
    try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: scratch.url(name))
    return scratch(name)
  }

  private func adapter(_ name: String) throws -> Data {
    try Data(contentsOf: scratch.url(name + "/adapter_model.safetensors"))
  }

  @Test func `a run from a file is the run of the same command line`() throws {
    let config = try file(
      "# comments are welcome", "model: model", "data: [text/gospels.txt]", "steps: 2",
      "batch_size: 1", "sequence-length: 32", "learning-rate: 1e-3", "rank: 4",
      "target-modules: q_proj,up_proj", "dropout: 0.25", "train_modules:", "  - norm",
      "  - input_layernorm",
      "no-shuffle: true", "no-fusion: false", "quiet: true", "layers: ~")
    let first = try Graft.run("train", "--config", config, "--out", scratch("file"))
    #expect(first.status == 0, "\(first.error)")
    let second = try Graft.run(
      "train", "model", "--data", "text/gospels.txt", "--steps", "2", "--batch-size", "1",
      "--sequence-length", "32", "--learning-rate", "1e-3", "--rank", "4", "--target-modules",
      "q_proj,up_proj", "--dropout", "0.25", "--train-modules", "norm", "input_layernorm",
      "--no-shuffle", "--quiet",
      "--out", scratch("line"))
    #expect(second.status == 0, "\(second.error)")
    #expect(try adapter("file") == adapter("line"))
  }

  @Test func `lists stand where the command line divides names by commas or spaces`() throws {
    let rest = ["model: model", "data: text/gospels.txt", "steps: 1", "batch-size: 1"]
    let listed = try file(
      ["\u{FEFF}sequence-length: 16", "target-modules: [q_proj, up_proj]", "layers: [1, 3-4]"]
        + rest + ["train-modules: [norm, input_layernorm]"], name: "listed.yaml")
    let divided = try file(
      ["sequence-length: 16", "target-modules: q_proj,up_proj", "layers: 1,3-4"] + rest
        + ["train-modules: norm input_layernorm"], name: "divided.yaml")
    for name in [listed, divided] {
      let outcome = try Graft.run("train", "--config", name, "--out", name + ".out", "--quiet")
      #expect(outcome.status == 0, "\(outcome.error)")
    }
    #expect(try adapter("listed.yaml.out") == adapter("divided.yaml.out"))
  }

  @Test func `planning takes the same file`() throws {
    let config = try file(
      "model: model", "data: [text/gospels.txt]", "batch-size: 1", "sequence-length: 32",
      "steps: 2", "rank: 3", "out: \(scratch("never"))")
    let outcome = try Graft.run("plan", "train", "--config", config, "--json")
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.output.hasPrefix("{"))
    #expect(!FileManager.default.fileExists(atPath: scratch("never")))
    let wrong = try Graft.run("plan", "train", "--config", config, "--rank", "0")
    #expect(wrong.status == 2)
    #expect(wrong.error.hasPrefix("error: --rank is 1 to 65536\n"))
  }

  @Test func `the command line counts where both speak`() throws {
    let config = try file(
      "model: nowhere", "data: [nothing.txt]", "steps: 9", "batch-size: 1",
      "sequence-length: 32", "quiet: true")
    let outcome = try Graft.run(
      "train", "model", "--config=\(config)", "--data", "text/gospels.txt", "--steps=1", "--out",
      scratch("adapter"))
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.output.hasPrefix("1 steps, "))
  }

  @Test(
    arguments: [
      (
        "rank: 4\nlerning-rate: 1", "no option is called lerning-rate", 2,
        "did you mean learning-rate?"
      ),
      ("rank: 4\n\nzzzzzz: 1", "no option is called zzzzzz", 3, nil),
      (
        "config: other.yaml", "a configuration doesn't name another one", 1,
        "write its options here"
      ),
      ("rank: 4\nsteps: [1, 2]", "steps has a value of another kind", 2, nil),
      ("steps: {a: 1}", "steps has a value of another kind", 1, nil),
      ("resume: 3", "resume has a value of another kind", 1, nil),
      ("data: [[a]]", "data has a value of another kind", 1, nil),
      ("rank: 4\nsteps: many", "The value 'many' is invalid for '--steps <steps>'", 2, nil),
      ("rank: 0", "--rank is 1 to 65536", 1, nil),
      ("rank: 4\nlearning_rate: 0", "learning-rate is out of range", 2, nil),
      ("layers: [4, 9]", "layers is out of range", 1, nil),
      (
        "schedule: foo",
        "The value 'foo' is invalid for '--schedule <schedule>'; it takes cosine, linear, constant, polynomial, wsd, cosine-restarts, inverse-sqrt",
        1, nil
      ),
      (
        "learning-rate: 1\n\nlearning_rate: 2", "the configuration has learning_rate twice", 3,
        "first in line 1"
      ),
      ("- rank", "a configuration is a mapping from option names to values", 1, nil),
    ] as [(String, String, Int, String?)])
  func `what makes no sense is 2, with the line`(
    text: String, summary: String, line: Int, remedy: String?
  ) throws {
    let config = try file(text)
    let outcome = try Graft.run(
      "train", "model", "--data", "text/gospels.txt", "--out", scratch("out"), "--config", config)
    #expect(outcome.status == 2)
    let lines = outcome.error.split(separator: "\n").map(String.init)
    try #require(lines.count >= 2, "\(outcome.error)")
    #expect(lines[0] == "error: " + summary)
    #expect(lines[1].hasPrefix("  \(config), line \(line)"))
    #expect(remedy == nil || lines.last == "  " + (remedy ?? ""))
    #expect(!FileManager.default.fileExists(atPath: scratch("out")))
  }

  @Test(arguments: ["a: [", "a: b: c", "\t- x", "%", "a: \"\\q\""])
  func `what isn't YAML is 2`(text: String) throws {
    let outcome = try Graft.run(
      "train", "model", "--data", "x", "--out", scratch("out"), "--config", try file(text))
    #expect(outcome.status == 2)
    #expect(outcome.error.hasPrefix("error: the configuration isn't YAML: "))
    #expect(outcome.error.split(separator: "\n").count == 2)
  }

  @Test func `a missing file is 4`() throws {
    let outcome = try Graft.run("train", "--config", scratch("nowhere.yaml"))
    #expect(outcome.status == 4)
    #expect(outcome.error == "error: no such file or directory\n  \(scratch("nowhere.yaml"))\n")
  }

  @Test func `--full refuses the options of an adapter`() throws {
    for option in [
      ["--rank", "4"], ["--from", "x"], ["--target-modules", "q_proj"], ["--dropout", "0.1"],
    ] {
      let outcome = try Graft.run(
        ["train", "model", "--full", "--data", "x", "--out", scratch("out")] + option)
      #expect(outcome.status == 2)
      #expect(
        outcome.error.hasPrefix(
          "error: --full trains without an adapter: \(option[0]) has no meaning there\n"))
    }
  }
}
