import Graft
import TestSupport
import Testing

/// A run that is stopped and resumed ends with the same bytes as an undisturbed one.
struct ResumeTests {
  private struct Killed: Error {}

  fileprivate static func request(_ output: String, resumes: Bool = false) -> TrainingRequest {
    TrainingRequest(
      adapter: LoRAConfiguration(rank: 4, alpha: 8, targetModules: ["q_proj", "v_proj"]),
      data: [fixture("text/gospels.txt")], output: output,
      settings: TrainingSettings(
        steps: 8, batchSize: 2, sequenceLength: 64, accumulation: 2, warmupSteps: 2, seed: 7,
        saveEvery: 1),
      resumes: resumes)
  }

  fileprivate static func adapterBytes(_ output: String) throws -> [UInt8] {
    try InputFile.contents(of: output + "/adapter_model.safetensors", atMost: 1 << 24)
  }

  @Test func `stopped after every step and resumed, a run ends with the same adapter and log`()
    throws
  {
    let workspace = TemporaryFolder()
    let model = try LanguageModel(fixture("model"), threads: 2)
    try model.train(Self.request(workspace("whole")))
    let expected = try Self.adapterBytes(workspace("whole"))

    for stop in 1...7 {
      let output = workspace("stopped-\(stop)")
      var steps = 0
      let error = #expect(throws: TrainingError.self) {
        try model.train(
          Self.request(output), step: { _ in steps += 1 }, isInterrupted: { steps == stop })
      }
      #expect(error?.reason == .interrupted(step: stop))
      try model.train(Self.request(output, resumes: true))
      #expect(try Self.adapterBytes(output) == expected)
      let log = try InputFile.contents(of: output + "/training_log.jsonl", atMost: 1 << 20)
      #expect(log.count { $0 == UInt8(ascii: "\n") } == 8)
    }
  }

  @Test func `resuming with other settings is refused`() throws {
    let workspace = TemporaryFolder()
    let model = try LanguageModel(fixture("model"), threads: 2)
    try model.train(Self.request(workspace("run")))
    var other = Self.request(workspace("run"), resumes: true)
    other.settings.learningRate = 5e-4
    let error = #expect(throws: TrainingError.self) { try model.train(other) }
    #expect(
      error?.reason
        == .stateMismatch(setting: "--learning-rate", expected: "0.001", found: "0.0005"))
  }

  @Test func `a fresh run doesn't overwrite another`() throws {
    let workspace = TemporaryFolder()
    let model = try LanguageModel(fixture("model"), threads: 2)
    try model.train(Self.request(workspace("run")))
    let before = try Self.adapterBytes(workspace("run"))
    let error = #expect(throws: TrainingError.self) {
      try model.train(Self.request(workspace("run")))
    }
    #expect(error?.reason == .outputExists(found: "directory holds another run"))
    #expect(try Self.adapterBytes(workspace("run")) == before)
  }
}

extension ResumeTests {
  @Test func `killed between the last state and the adapter, resuming writes the adapter`() throws {
    let workspace = TemporaryFolder()
    let model = try LanguageModel(fixture("model"), threads: 2)
    try model.train(Self.request(workspace("run")))
    let expected = try Self.adapterBytes(workspace("run"))
    Directory.remove(workspace("run/adapter_model.safetensors"))
    try AtomicFile.write([1, 2, 3], to: workspace("run/.adapter_model.safetensors.1-a.partial"))
    try model.train(Self.request(workspace("run"), resumes: true))
    #expect(try Self.adapterBytes(workspace("run")) == expected)
    #expect(try !Directory.entries(of: workspace("run")).contains { $0.hasSuffix(".partial") })
  }
}
