import Foundation
import Graft
import TestSupport
import Testing

/// A run goes on only with what it was begun with; anything else is refused, and leaves the run as it was.
struct ResumeRefusalTests {
  private static func request(_ output: String) -> TrainingRequest {
    TrainingRequest(
      adapter: LoRAConfiguration(rank: 2, alpha: 8, targetModules: ["q_proj", "v_proj"]),
      data: [fixture("text/gospels.txt")], output: output,
      settings: TrainingSettings(
        steps: 3, batchSize: 1, sequenceLength: 16, learningRate: 1e-2, seed: 5, saveEvery: 1))
  }

  private static func model(_ path: String = fixture("model")) throws -> LanguageModel {
    try LanguageModel(path, threads: 2)
  }

  /// Begins a run and stops it after its first step.
  private static func begin(
    _ request: TrainingRequest, _ model: LanguageModel
  ) throws -> TrainingRequest {
    var steps = 0
    #expect(throws: TrainingError.self) {
      try model.train(request, step: { _ in steps += 1 }, isInterrupted: { steps == 1 })
    }
    var request = request
    request.resumes = true
    return request
  }

  /// The bytes of every file below a directory.
  private static func contents(_ path: String) throws -> [String: Data] {
    let names = try FileManager.default.subpathsOfDirectory(atPath: path)
    return names.reduce(into: [:]) {
      $0[$1] = FileManager.default.contents(atPath: path + "/" + $1)
    }
  }

  private func refusal(
    _ request: TrainingRequest, _ model: LanguageModel
  ) throws -> TrainingError.Reason? {
    let before = try Self.contents(request.output)
    let error = #expect(throws: TrainingError.self) { try model.train(request) }
    #expect(try Self.contents(request.output) == before)
    return error?.reason
  }

  private struct Change: Sendable {
    let setting: String
    let saved: String
    let given: String
    let apply: @Sendable (inout TrainingRequest) -> Void
  }

  private static let changes = [
    Change(setting: "--target-modules", saved: "q_proj,v_proj", given: "q_proj") {
      $0.adapter?.targetModules = ["q_proj"]
    },
    Change(setting: "--layers", saved: "all", given: "0,2") { $0.adapter?.layers = [2, 0] },
    Change(setting: "--rank", saved: "2", given: "4") { $0.adapter?.rank = 4 },
    Change(setting: "--alpha", saved: "8.0", given: "4.0") { $0.adapter?.alpha = 4 },
    Change(setting: "--variant", saved: "lora", given: "rslora") {
      $0.adapter?.usesRSLoRA = true
    },
    Change(setting: "--train-modules", saved: "none", given: "norm") {
      $0.trainedModules = ["norm"]
    },
    Change(setting: "--freeze", saved: "none", given: "model.layers.0") {
      $0.frozenModules = ["model.layers.0"]
    },
    Change(setting: "--full", saved: "false", given: "true") { $0.adapter = nil },
  ]

  @Test(arguments: changes.indices)
  func `another set of trained tensors is refused`(index: Int) throws {
    let (change, workspace) = (Self.changes[index], TemporaryFolder())
    let model = try Self.model()
    var request = try Self.begin(Self.request(workspace("run")), model)
    change.apply(&request)
    #expect(
      try refusal(request, model)
        == .stateMismatch(setting: change.setting, expected: change.saved, found: change.given))
  }

  @Test func `other texts and another adapter to go on from are refused`() throws {
    let workspace = TemporaryFolder()
    let model = try Self.model()
    try model.train(Self.request(workspace("adapter")))
    let begun = try Self.begin(Self.request(workspace("run")), model)
    let changes: [(String, (inout TrainingRequest) -> Void)] = [
      ("training text", { $0.data = [fixture("text/revelation.txt")] }),
      ("validation text", { $0.validation = [fixture("text/revelation.txt")] }),
      ("--from", { $0.initialAdapter = workspace("adapter") }),
    ]
    for (setting, change) in changes {
      var request = begun
      change(&request)
      guard case .stateMismatch(let found, _, _)? = try refusal(request, model) else {
        Issue.record("\(setting) went through")
        continue
      }
      #expect(found == setting)
    }
  }

  @Test func `another base is refused, and the same one elsewhere isn't`() throws {
    let workspace = TemporaryFolder()
    let path = try workspace.copy(fixture("model"), to: "here")
    try Self.model().train(Self.request(workspace("whole")))
    let request = try Self.begin(Self.request(workspace("run")), try Self.model(path))

    let other = try workspace.copy(path, to: "other")
    let weights = URL(filePath: other + "/model.safetensors")
    var bytes = try Data(contentsOf: weights)
    bytes[bytes.count - 2] ^= 1
    try bytes.write(to: weights)
    let configured = try workspace.copy(path, to: "configured")
    let config = URL(filePath: configured + "/config.json")
    let text = try String(contentsOf: config, encoding: .utf8)
    #expect(text.contains("1e-05"))
    try text.replacing("1e-05", with: "1e-06").write(to: config, atomically: true, encoding: .utf8)
    for (path, setting) in [(other, "base"), (configured, "base configuration")] {
      guard case .stateMismatch(let found, _, _)? = try refusal(request, try Self.model(path))
      else {
        Issue.record("\(setting) went through")
        continue
      }
      #expect(found == setting)
    }

    try FileManager.default.moveItem(atPath: path, toPath: workspace("there"))
    try Self.model(workspace("there")).train(request)
    let name = "adapter_model.safetensors"
    #expect(
      try Self.contents(workspace("run"))[name] == Self.contents(workspace("whole"))[name])
  }

  @Test func `the same modules in another order go on`() throws {
    let workspace = TemporaryFolder()
    let model = try Self.model()
    var request = try Self.begin(Self.request(workspace("run")), model)
    request.adapter?.targetModules = ["v_proj", "q_proj"]
    #expect(try model.train(request).lastStep == 3)
  }
}
