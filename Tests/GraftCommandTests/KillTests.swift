import Foundation
import Testing

/// A run killed at random moments, and resumed each time, ends with the same adapter bytes as an undisturbed one.
struct KillTests {
  private static func arguments(_ output: String) -> [String] {
    [
      "train", "model", "--data", "text/gospels.txt", "--out", output, "--steps", "12",
      "--batch-size", "2", "--sequence-length", "64", "--rank", "4", "--warmup", "2",
      "--save-every",
      "1", "--seed", "11", "--quiet",
    ]
  }

  private static func start(_ arguments: [String]) throws -> Process {
    let process = Process()
    process.executableURL = try #require(Graft.executable)
    process.arguments = arguments
    process.currentDirectoryURL = Graft.fixtures
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    return process
  }

  @Test func `killed ten times at random moments, a resumed run ends with the same bytes`() throws {
    let scratch = Scratch()
    let whole = try Self.start(Self.arguments(scratch("whole")))
    let clock = ContinuousClock()
    let duration = clock.measure { whole.waitUntilExit() }
    try #require(whole.terminationStatus == 0)
    let expected = try Data(contentsOf: scratch.url("whole/adapter_model.safetensors"))

    var kills = 0
    var attempt = 0
    while kills < 10 {
      attempt += 1
      let output = scratch("killed-\(attempt)")
      var process = try Self.start(Self.arguments(output))
      var rounds = 0
      while true {
        rounds += 1
        // Random moments over the whole run, from before the model is open to the last save.
        Thread.sleep(forTimeInterval: Double.random(in: 0...1) * (duration / .seconds(1)))
        guard process.isRunning, rounds < 6 else { break }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        kills += 1
        let isBegun = FileManager.default.fileExists(atPath: output + "/training_log.jsonl")
        process = try Self.start(Self.arguments(output) + (isBegun ? ["--resume"] : []))
      }
      process.waitUntilExit()
      #expect(process.terminationStatus == 0)
      let adapter = try Data(
        contentsOf: URL(filePath: output).appending(path: "adapter_model.safetensors"))
      let isSame = adapter == expected
      #expect(isSame, "attempt \(attempt) after \(kills) kills")
    }
  }
}
