import Foundation
import TestSupport
import Testing

/// A run killed at random moments, and resumed each time, ends with the same bytes as an undisturbed one.
struct KillTests {
  /// What a run trains.
  enum Subject: CaseIterable {
    case adapter, model, accumulated

    var options: [String] {
      switch self {
      case .adapter: ["--rank", "4"]
      case .accumulated: ["--rank", "4", "--accumulate", "3"]
      case .model: ["--full", "--freeze", "embed_tokens"]
      }
    }

    var file: String {
      switch self {
      case .adapter, .accumulated: "adapter_model.safetensors"
      case .model: "model.safetensors"
      }
    }

    /// Whether a run is sometimes asked to stop first, so that it saves inside an accumulation, and is killed in the midst of it.
    var savesInside: Bool { self == .accumulated }

    func arguments(_ output: String) -> [String] {
      [
        "train", "model", "--data", "text/gospels.txt", "--out", output, "--steps", "12",
        "--batch-size", "2", "--sequence-length", "64", "--warmup", "2", "--save-every", "1",
        "--seed", "11", "--quiet",
      ] + options
    }
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

  /// Whether the saved state of a run stands between two batches of a step.
  private static func isInsideAccumulation(_ output: String) throws -> Bool {
    let file = URL(filePath: output + "/training_state/state.json")
    guard let data = try? Data(contentsOf: file) else { return false }
    let state = try JSONSerialization.jsonObject(with: data) as? [String: Any]
    return (state?["batchesTaken"] as? Int ?? 0) > 0
  }

  @Test(arguments: Subject.allCases)
  func `killed ten times at random moments, a resumed run ends with the same bytes`(
    subject: Subject
  ) throws {
    let scratch = TemporaryFolder()
    let whole = try Self.start(subject.arguments(scratch("whole")))
    let clock = ContinuousClock()
    let duration = clock.measure { whole.waitUntilExit() }
    try #require(whole.terminationStatus == 0)
    let expected = try Data(contentsOf: scratch.url("whole/" + subject.file))

    var kills = 0
    var savesInside = 0
    var attempt = 0
    while kills < 10 || (subject.savesInside && savesInside < 3) {
      attempt += 1
      let output = scratch("killed-\(attempt)")
      var process = try Self.start(subject.arguments(output))
      var rounds = 0
      while true {
        rounds += 1
        // Random moments over the whole run, from before the model is open to the last save.
        Thread.sleep(forTimeInterval: Double.random(in: 0...1) * (duration / .seconds(1)))
        guard process.isRunning, rounds < 6 else { break }
        if subject.savesInside, Bool.random() {
          kill(process.processIdentifier, SIGINT)
          Thread.sleep(forTimeInterval: Double.random(in: 0...0.1))
        }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        kills += 1
        if try Self.isInsideAccumulation(output) { savesInside += 1 }
        let isBegun = FileManager.default.fileExists(atPath: output + "/training_log.jsonl")
        process = try Self.start(subject.arguments(output) + (isBegun ? ["--resume"] : []))
      }
      process.waitUntilExit()
      #expect(process.terminationStatus == 0)
      let written = try Data(
        contentsOf: URL(filePath: output).appending(path: subject.file))
      let isSame = written == expected
      #expect(isSame, "attempt \(attempt) after \(kills) kills")
    }
  }
}
