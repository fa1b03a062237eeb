import Foundation
import TestSupport
import Testing

/// Where training writes, and what it leaves when it fails.
@Suite struct `The target of training` {
  private let scratch = TemporaryFolder()

  private func arguments(_ verb: [String], _ out: String) -> [String] {
    verb + [
      "model", "--data", "text/gospels.txt", "--steps", "1", "--batch-size", "1",
      "--sequence-length", "16", "--threads", "1", "--out", out,
    ]
  }

  private func train(_ out: String, _ options: String...) throws -> Graft.Outcome {
    try Graft.run(arguments(["train"], out) + ["--quiet"] + options)
  }

  @Test func `may end in a slash`() throws {
    let outcome = try train(scratch("run") + "/")
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(scratch.names == ["run"])
  }

  @Test(arguments: ["file", "file/"])
  func `is no file`(name: String) throws {
    try Data("x".utf8).write(to: scratch.url("file"))
    let outcome = try train(scratch(name))
    #expect(outcome.status == 4)
    #expect(outcome.error.hasPrefix("error: the output is a file\n"))
    #expect(scratch.names == ["file"])
  }

  @Test(arguments: [false, true])
  func `is as it was after a first save that fails`(exists: Bool) throws {
    if exists {
      try FileManager.default.createDirectory(
        at: scratch.url("run"), withIntermediateDirectories: false)
    }
    // Room for the log, not for the state.
    let (output, status) = try Shell.run(
      "ulimit -f 40; graft " + arguments(["train"], scratch("run")).joined(separator: " ")
        + " --quiet 2>&1",
      in: Graft.fixtures.path)
    #expect(status == 4, "\(output)")
    #expect(output.hasPrefix("error: "))
    #expect(scratch.names == (exists ? ["run"] : []))
    if exists {
      #expect(try FileManager.default.contentsOfDirectory(atPath: scratch("run")) == [])
    }
  }

  @Test func `is refused by the plan as by the run`() throws {
    #expect(try train(scratch("run")).status == 0)
    let trained = try train(scratch("run"))
    let planned = try Graft.run(arguments(["plan", "train"], scratch("run")))
    #expect(trained.status == 4)
    #expect(planned.status == 4)
    #expect(planned.output == "")
    #expect(planned.error == trained.error)
  }

  @Test(arguments: [
    (#""step": 1"#, #""step": "one""#), (#""tokenCount": 16"#, #""tokenCount": 9999"#),
  ])
  func `isn't resumed from a state that is damaged, and so called`(
    part: String, damage: String
  ) throws {
    #expect(try train(scratch("run"), "--save-every", "1").status == 0)
    let file = scratch.url("run/training_state/state.json")
    let text = try String(contentsOf: file, encoding: .utf8)
    try #require(text.contains(part), "\(text)")
    try Data(text.replacing(part, with: damage).utf8).write(to: file)
    let outcome = try train(scratch("run"), "--save-every", "1", "--resume")
    #expect(outcome.status == 3)
    #expect(outcome.error.hasPrefix("error: the saved training state is damaged\n"))
    #expect(outcome.error.split(separator: "\n").count == 3)
  }
}
