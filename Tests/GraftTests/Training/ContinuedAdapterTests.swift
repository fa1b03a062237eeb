import Graft
import TestSupport
import Testing

/// Going on from an adapter: what is frozen of it stays, and the rest is trained as it would be without.
struct ContinuedAdapterTests {
  private let space = TemporaryFolder()
  private let model: LanguageModel

  init() throws {
    model = try LanguageModel(fixture("model"), precision: .f32, threads: 2)
    try model.train(request("first", steps: 3))
  }

  private func request(
    _ output: String, steps: Int, from adapter: String? = nil, freezing names: [String] = []
  ) -> TrainingRequest {
    var settings = TrainingSettings(
      steps: steps, batchSize: 1, sequenceLength: 32, learningRate: 1e-2, decay: .constant,
      clipNorm: nil, seed: 3)
    settings.optimizer = .sgd(SGD())
    var request = TrainingRequest(
      adapter: LoRAConfiguration(rank: 2, alpha: 8, targetModules: ["q_proj", "v_proj"]),
      data: [fixture("text/gospels.txt")], output: space(output), settings: settings,
      initialAdapter: adapter.map { space($0) })
    request.frozenModules = names
    return request
  }

  private func tensors(_ name: String) throws -> [TensorName: [UInt8]] {
    let reader = try OpenedCheckpoint(path: space(name)).reader
    return try reader.tensors.reduce(into: [:]) { $0[$1.name] = try reader.bytes($1.name) }
  }

  @Test(arguments: ["q_proj", "model.layers.2", "self_attn.q_proj"])
  func `frozen pairs keep their bytes, and the others take the step they take anyway`(
    name: String
  ) throws {
    try model.train(request("free", steps: 1, from: "first"))
    try model.train(request("frozen", steps: 1, from: "first", freezing: [name]))
    let (first, free, frozen) = (try tensors("first"), try tensors("free"), try tensors("frozen"))
    #expect(Set(frozen.keys) == Set(first.keys))
    var kept = 0
    for (tensor, bytes) in frozen {
      let isFrozen = isPath(tensor.text, through: name)
      #expect(bytes == (isFrozen ? first[tensor] : free[tensor]), "\(tensor)")
      #expect(first[tensor] != free[tensor], "\(tensor)")
      kept += isFrozen ? 1 : 0
    }
    #expect((1..<frozen.count).contains(kept))
    let configurations = try ["first", "frozen"].map {
      try OpenedCheckpoint(path: space($0)).adapterConfiguration()
    }
    #expect(configurations[0] == configurations[1])
  }

  @Test func `freezing all pairs leaves nothing to train`() throws {
    let error = #expect(throws: TrainingError.self) {
      try model.train(request("nothing", steps: 1, from: "first", freezing: ["layers"]))
    }
    guard case .invalidSetting("freeze", _, _)? = error?.reason else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(!Directory.exists(at: space("nothing")))
  }

  @Test func `frozen pairs count in the loss, in validation and after going on`() throws {
    let text = fixture("text/revelation.txt")
    func frozen(_ output: String) -> TrainingRequest {
      var request = request(output, steps: 4, from: "first", freezing: ["q_proj"])
      request.validation = [text]
      request.settings.saveEvery = 1
      return request
    }
    var last = 0.0
    try model.train(frozen("whole"), step: { last = $0.validationLoss ?? last })
    let adapter = try OpenedCheckpoint(path: space("whole")).adapter()
    let loss = try model.evaluate(
      [text], adapters: [adapter], sequenceLength: 32, batchSize: 1
    ).loss
    #expect(abs(loss - last) < 1e-6)

    var steps = 0
    #expect(throws: TrainingError.self) {
      try model.train(
        frozen("stopped"), step: { _ in steps += 1 }, isInterrupted: { steps == 2 })
    }
    var rest = frozen("stopped")
    rest.resumes = true
    try model.train(rest)
    #expect(try tensors("stopped") == tensors("whole"))
  }
}
