import Foundation
import Graft
import GraftKernels
import TestSupport
import Testing

/// Budgets of memory, from the request to the error.
struct TrainingBudgetTests {
  private func request(_ out: String, memory: Int?) throws -> TrainingRequest {
    TrainingRequest(
      adapter: LoRAConfiguration(
        rank: 4, alpha: 8, targetModules: try TargetModules(parsing: "q_proj,v_proj")),
      data: [fixture("text/gospels.txt")], output: out,
      settings: TrainingSettings(steps: 2, batchSize: 2, sequenceLength: 64, memory: memory))
  }

  private static let kinds: [(name: String, change: @Sendable (inout TrainingRequest) -> Void)] = [
    ("adapter", { _ in }), ("whole model", { $0.adapter = nil }),
    ("op by op", { $0.settings.fusion = false }),
    ("recomputed", { $0.settings.recompute = .block }),
    ("long", { ($0.settings.batchSize, $0.settings.sequenceLength) = (1, 2000) }),
    ("Muon", { $0.settings.optimizer = .muon(Muon()) }),
    (
      "validated",
      {
        $0.validation = [fixture("text/revelation.txt")]
        $0.settings.evaluateEvery = 1
        $0.settings.keepsBest = true
      }
    ),
    ("packed", { $0.settings.data.packs = true }),
  ]

  @Test(arguments: kinds.indices, [ComputePrecision.bf16, .f32])
  func `all scratch is taken before the first step`(
    kind: Int, precision: ComputePrecision
  ) throws {
    let space = TemporaryFolder()
    let model = try LanguageModel(fixture("model"), precision: precision, threads: 2)
    var request = try request(space("run"), memory: nil)
    Self.kinds[kind].change(&request)
    if Self.kinds[kind].name == "packed" {
      let lines = (1...40).map {
        #"{"text": "\#(String(repeating: "And it came to pass. ", count: $0))"}"#
      }
      request.data = [space("examples.jsonl")]
      try AtomicFile.write(Array(lines.joined(separator: "\n").utf8), to: request.data[0])
    }
    var scratch: Int?
    try model.train(request, starting: { _ in scratch = model.kernels.scratchByteCount })
    #expect(model.kernels.scratchByteCount == scratch, "\(Self.kinds[kind].name)")
  }

  @Test func `a budget that can't be kept leaves nothing behind and names one that can`() throws {
    let out = NSTemporaryDirectory() + "graft-budget-\(UUID())"
    let model = try LanguageModel(fixture("model"), threads: 1)
    let error = #expect(throws: TrainingError.self) {
      try model.train(try request(out, memory: 1000))
    }
    guard case .budgetTooSmall(byteCount: 1000, let least)? = error?.reason else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(error?.diagnosis.kind == .memory)
    #expect(least > 1000)
    #expect(!FileManager.default.fileExists(atPath: out))
  }

  @Test func `a plan says what training would do and writes nothing`() throws {
    let out = NSTemporaryDirectory() + "graft-plan-\(UUID())"
    let model = try LanguageModel(fixture("model"), threads: 1)
    let forecast = try model.plan(try request(out, memory: nil))
    #expect(!FileManager.default.fileExists(atPath: out))
    #expect(forecast.modules.count == 12)
    #expect(forecast.tokensPerStep == 128)
    #expect(forecast.summary.blocks.count == 6)
    #expect(forecast.summary.blocks.allSatisfy { $0.kernelsAgain == 0 && $0.keptByteCount > 0 })
    #expect(forecast.summary.stages.map(\.byteCount).max() ?? 0 <= forecast.arenaBytes)
    #expect(forecast.memory.peakBytes > forecast.arenaBytes)
    #expect(forecast.secondsPerStep > 0)
  }
}
