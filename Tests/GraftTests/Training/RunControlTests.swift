import Graft
import TestSupport
import Testing

/// What ends a run, what is kept of it, and going on from anywhere.
struct RunControlTests {
  private static func request(
    _ output: String, steps: Int = 6, _ change: (inout TrainingSettings) -> Void = { _ in }
  ) -> TrainingRequest {
    var settings = TrainingSettings(
      steps: steps, batchSize: 1, sequenceLength: 16, decay: .constant, seed: 5, saveEvery: 1)
    change(&settings)
    return TrainingRequest(
      adapter: LoRAConfiguration(rank: 2, alpha: 8, targetModules: ["q_proj", "v_proj"]),
      data: [fixture("text/gospels.txt")], output: output, settings: settings)
  }

  private static func bytes(_ directory: String) throws -> [UInt8] {
    try InputFile.contents(of: directory + "/adapter_model.safetensors", atMost: 1 << 24)
  }

  private static func model() throws -> LanguageModel {
    try LanguageModel(fixture("model"), threads: 2)
  }

  /// A run whose learning rate is so high that its validation loss soon grows.
  private static func diverging(_ output: String, earlyStop: Int? = nil) throws -> TrainingRequest {
    let validation = output + ".txt"
    let text = try InputFile.contents(of: fixture("text/revelation.txt"), atMost: 1 << 20)
    try AtomicFile.write(Array(text.prefix(600)), to: validation)
    var request = request(output, steps: 12) {
      $0.learningRate = 0.05
      $0.evaluateEvery = 1
      $0.keepsBest = true
      $0.keepLast = 12
      $0.earlyStop = earlyStop
    }
    request.validation = [validation]
    return request
  }

  @Test func `the lowest validation loss decides what is written at the end`() throws {
    let workspace = TemporaryFolder()
    var losses: [Double] = []
    let outcome = try Self.model().train(
      try Self.diverging(workspace("run")), step: { losses.append($0.validationLoss ?? .nan) })
    let lowest = try #require(losses.min())
    #expect(outcome.lastStep == 12)
    #expect(outcome.writtenStep == losses.firstIndex(of: lowest).map { $0 + 1 })
    try #require(outcome.writtenStep < 12)
    let written = try Self.bytes(workspace("run"))
    #expect(try written == Self.bytes(workspace("run/snapshots/step-\(outcome.writtenStep)")))
    #expect(try written != Self.bytes(workspace("run/snapshots/step-12")))
  }

  @Test func `a run ends when the validation loss stays above its lowest`() throws {
    let workspace = TemporaryFolder()
    let model = try Self.model()
    let outcome = try model.train(try Self.diverging(workspace("run"), earlyStop: 2))
    #expect(outcome.stoppedEarly)
    #expect(outcome.lastStep == outcome.writtenStep + 2)
    let written = try Self.bytes(workspace("run"))

    // Interrupted before, it ends in the same place.
    var steps = 0
    var request = try Self.diverging(workspace("interrupted"), earlyStop: 2)
    #expect(throws: TrainingError.self) {
      try model.train(
        request, step: { _ in steps += 1 }, isInterrupted: { steps == outcome.lastStep - 1 })
    }
    request.resumes = true
    #expect(try model.train(request) == outcome)
    #expect(try Self.bytes(workspace("interrupted")) == written)
  }

  @Test func `without a validation text there is nothing to compare`() throws {
    let workspace = TemporaryFolder()
    let request = Self.request(workspace("run")) { $0.earlyStop = 2 }
    let error = #expect(throws: TrainingError.self) { try Self.model().train(request) }
    #expect(
      error?.reason
        == .invalidSetting(name: "early-stop", expected: "a validation text", found: "none"))
    #expect(!Directory.exists(at: workspace("run")))
  }

  @Test func `what can't be trained leaves no directory`() throws {
    let workspace = TemporaryFolder()
    try AtomicFile.write(Array(#"{"question": "Why?"}"#.utf8), to: workspace("bad.jsonl"))
    try AtomicFile.write(Array("a".utf8), to: workspace("short.txt"))
    let changes: [(inout TrainingRequest) -> Void] = [
      { $0.data = [workspace("bad.jsonl")] }, { $0.data = [workspace("short.txt")] },
      { $0.validation = [workspace("bad.jsonl")] }, { $0.validation = [workspace("nowhere")] },
      { $0.adapter?.targetModules = ["qproj"] }, { $0.settings.memory = 1 << 20 },
      { $0.frozenModules = ["layers"] }, { $0.initialAdapter = fixture("model") },
    ]
    for (index, change) in changes.enumerated() {
      var request = Self.request(workspace("run"))
      change(&request)
      #expect(throws: (any Error).self, "\(index)") { try Self.model().train(request) }
      #expect(!Directory.exists(at: workspace("run")), "\(index)")
    }
  }

  @Test(arguments: [false, true])
  func `one run at a time has a directory`(resumes: Bool) throws {
    let workspace = TemporaryFolder()
    let model = try Self.model()
    var second = Self.request(workspace("run"))
    second.resumes = resumes
    var names: [[String]] = []
    func entries() throws -> [String] { try workspace.names(in: workspace("run")) }
    try model.train(
      Self.request(workspace("run"), steps: 2),
      step: { _ in
        do {
          let before = try entries()
          let error = #expect(throws: TrainingError.self) { try model.train(second) }
          #expect(
            error?.reason == .outputExists(found: "directory belongs to a run that is going on"))
          #expect(try entries() == before)
          names.append(before)
        } catch {
          Issue.record(error)
        }
      })
    #expect(names.count == 2)
  }

  @Test func `of the saves, the last ones are kept`() throws {
    let workspace = TemporaryFolder()
    try Self.model().train(Self.request(workspace("run")) { $0.keepLast = 2 })
    #expect(try Directory.entries(of: workspace("run/snapshots")) == ["step-5", "step-6"])
    #expect(try Self.bytes(workspace("run/snapshots/step-6")) == Self.bytes(workspace("run")))
  }

  @Test func `no save at all can't be asked for`() throws {
    let workspace = TemporaryFolder()
    let request = Self.request(workspace("run")) { $0.keepLast = 0 }
    let error = try #require(throws: TrainingError.self) { try Self.model().train(request) }
    guard case .invalidSetting("keep-last", _, "0") = error.reason else {
      Issue.record("\(error)")
      return
    }
    #expect(!Directory.exists(at: workspace("run")))
  }

  @Test func `saves of later steps, and what is left of removed ones, don't count`() throws {
    let workspace = TemporaryFolder()
    let model = try Self.model()
    var request = Self.request(workspace("run")) { $0.keepLast = 1 }
    var steps = 0
    #expect(throws: TrainingError.self) {
      try model.train(request, step: { _ in steps += 1 }, isInterrupted: { steps == 2 })
    }
    let folder = workspace("run/snapshots")
    #expect(try Directory.entries(of: folder) == ["step-2"])
    // Of a run that had gone on, and of a process that was killed while it removed one.
    for name in ["step-99", ".step-1.4711-abc.partial"] {
      try Directory.create(folder + "/" + name)
      try AtomicFile.write([1], to: folder + "/\(name)/adapter_model.safetensors")
    }
    request.resumes = true
    try model.train(request)
    #expect(try Directory.entries(of: folder) == ["step-6"])
    #expect(try Self.bytes(folder + "/step-6") == Self.bytes(workspace("run")))
  }

  // MARK: - Going on

  @Test func `stopped inside an accumulation, a run goes on to the same bytes`() throws {
    let workspace = TemporaryFolder()
    let model = try Self.model()
    func request(_ output: String) -> TrainingRequest {
      Self.request(output, steps: 3) { $0.accumulation = 3 }
    }
    try model.train(request(workspace("whole")))
    let expected = try Self.bytes(workspace("whole"))
    for stop in 1...8 {
      let output = workspace("stopped-\(stop)")
      var questions = 0
      let error = #expect(throws: TrainingError.self) {
        try model.train(
          request(output),
          isInterrupted: {
            questions += 1
            return questions == stop
          })
      }
      #expect(error?.reason == .interrupted(step: stop / 3))
      var going = request(output)
      going.resumes = true
      try model.train(going)
      #expect(try Self.bytes(output) == expected, "batch \(stop)")
    }
  }

  @Test func `stopped after each of 50 steps, a run goes on to the same bytes`() throws {
    let workspace = TemporaryFolder()
    let model = try Self.model()
    try model.train(Self.request(workspace("whole"), steps: 50))
    let expected = try Self.bytes(workspace("whole"))
    let output = workspace("stopped")
    var request = Self.request(output, steps: 50)
    for stop in 1...49 {
      let error = #expect(throws: TrainingError.self) {
        try model.train(request, isInterrupted: { true })
      }
      #expect(error?.reason == .interrupted(step: stop))
      request.resumes = true
    }
    try model.train(request)
    #expect(try Self.bytes(output) == expected)
  }

  @Test func `an update that isn't finite in f32 isn't made`() throws {
    let workspace = TemporaryFolder()
    // Adam's first step divides by 1 − beta1.
    let request = Self.request(workspace("run")) { $0.learningRate = 3e38 }
    let error = #expect(throws: TrainingError.self) { try Self.model().train(request) }
    #expect(error?.reason == .nonFinite(step: 1, quantity: "size of the update"))
    let state = try OpenedCheckpoint(path: workspace("run/training_state/state.safetensors"))
    #expect(try verify(state.path).isSound)
    #expect(try verify(workspace("run")).isSound)
  }

  @Test func `a result that isn't finite takes the place of no save`() throws {
    let workspace = TemporaryFolder()
    var request = Self.request(workspace("run"), steps: 2) {
      // The first step has a rate of 0, and the second takes values near 1 beyond f32.
      $0.optimizer = .adamW(AdamW(beta1: 0, weightDecay: 3.3))
      $0.learningRate = 1e38
      $0.warmupSteps = 1
    }
    request.trainedModules = ["norm"]
    let error = #expect(throws: TrainingError.self) { try Self.model().train(request) }
    #expect(error?.reason == .nonFinite(step: 2, quantity: "result for model.norm.weight"))
    let path = workspace("run/training_state/")
    #expect(try verify(path + "state.safetensors").isSound)
    #expect(try verify(workspace("run")).isSound)
    let json = try JSONValue.parse(
      try InputFile.contents(of: path + "state.json", atMost: 1 << 20), file: "state.json")
    #expect(json["step"]?.int == 1)
  }

  @Test func `a loss that isn't finite leaves the state before its step`() throws {
    let workspace = TemporaryFolder()
    let model = try Self.model()
    var request = Self.request(workspace("run")) {
      $0.optimizer = .sgd(SGD())
      $0.learningRate = 1e30
      $0.clipNorm = nil
      $0.saveEvery = nil
    }
    var last = 0
    let error = #expect(throws: TrainingError.self) {
      try model.train(request, step: { last = $0.step })
    }
    guard case .nonFinite(let step, let quantity)? = error?.reason else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(step == last + 1)
    #expect(quantity == "loss" || quantity.hasPrefix("gradient of "))
    // What was saved goes on from there, to the same end.
    request.resumes = true
    var first: Int?
    let again = #expect(throws: TrainingError.self) {
      try model.train(request, starting: { first = $0.firstStep })
    }
    #expect(first == last)
    #expect(again?.reason == error?.reason)
  }
}
