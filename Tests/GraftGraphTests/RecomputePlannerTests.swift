import GraftCore
import GraftGraph
import Testing

/// The planner's choices among the ways to treat blocks, against all of them.
struct RecomputePlannerTests {
  /// What treating the blocks so far comes to.
  private struct Outline {
    var blockCount = 0
    /// What stays in memory until the gradients.
    var kept = 0
    /// The most that the gradients of a block hold, with what earlier blocks keep.
    var peak = 0
    var seconds = 0.0

    /// Goes on with a treatment, by its definition.
    func adding(_ treatment: BlockChoice.Treatment, of blocks: [BlockSequence.Block]) -> Outline {
      let input = blockCount == 0 ? 0 : blocks[blockCount - 1].outputBytes
      var result = self
      switch treatment {
      case .alone(let place):
        let mode = blocks[blockCount].modes[place]
        result.blockCount += 1
        result.peak = max(peak, kept + input + mode.peakBytes)
        result.kept += input + mode.keptBytes
        result.seconds += mode.seconds
      case .segment(let length):
        // All but the last block run again for the inputs of those behind them; each keeps as little as it can.
        let segment = blocks[blockCount..<blockCount + length]
        let least = segment.compactMap(\.modes.last)
        let handed = segment.dropLast().reduce(0) { $0 + $1.outputBytes }
        result.blockCount += length
        result.peak = max(peak, kept + input + handed + (least.map(\.peakBytes).max() ?? 0))
        result.kept += input
        result.seconds +=
          segment.dropLast().reduce(0) { $0 + $1.replaySeconds }
          + least.reduce(0) { $0 + $1.seconds }
      }
      return result
    }
  }

  /// Every way to treat all blocks.
  private func outlines(of blocks: [BlockSequence.Block]) -> [Outline] {
    var (unfinished, complete) = ([Outline()], [Outline]())
    while let outline = unfinished.popLast() {
      let index = outline.blockCount
      guard index < blocks.count else {
        complete.append(outline)
        continue
      }
      for mode in blocks[index].modes.indices {
        unfinished.append(outline.adding(.alone(mode: mode), of: blocks))
      }
      let replayable = blocks[index...].prefix(while: \.isReplayable).count
      let longest = min(replayable + 1, blocks.count - index)
      for length in 2..<longest + 1 {
        unfinished.append(outline.adding(.segment(length: length), of: blocks))
      }
    }
    return complete
  }

  @Test(arguments: [DType.f32, .bf16])
  func `for each number of bytes the quickest of all ways to treat the blocks is found`(
    _ dtype: DType
  ) throws {
    let model = try TinyLlama(dtype) { $0.layers = 3 }
    let sequence = BlockSequence(
      model.example.graph, outputs: model.outputs, costs: .standard)
    #expect(sequence.blocks.count == 3)
    let all = outlines(of: sequence.blocks)
    let least = try #require(all.map(\.peak).min())
    #expect(sequence.leastBytes() == least)
    #expect(sequence.quickest(within: least - 1, unit: 1) == nil)
    let most = sequence.mostBytes()
    #expect(least < most)
    for index in 0...16 {
      let limit = least + (most - least) * index / 16
      let choice = try #require(sequence.quickest(within: limit, unit: 1))
      let quickest = try #require(all.filter { $0.peak <= limit }.map(\.seconds).min())
      #expect(abs(choice.seconds - quickest) <= 1e-9 * quickest, "\(limit) bytes")
      let outline = choice.treatments.reduce(Outline()) {
        $0.adding($1, of: sequence.blocks)
      }
      #expect(outline.blockCount == 3)
      #expect(outline.peak <= limit)
      #expect(abs(outline.seconds - choice.seconds) <= 1e-9 * quickest)
    }
  }

  @Test func `the plan without recompute is the policy's, where there is room for the run`()
    throws
  {
    let model = try TinyLlama(.bf16) { $0.layers = 4 }
    let graph = model.example.graph
    func compile(_ policy: RecomputePolicy) throws -> Compilation {
      try Compilation(
        graph, outputs: model.outputs, options: CompilerOptions(recompute: policy))
    }
    let planner = RecomputePlanner(graph, outputs: model.outputs, fuses: true, others: 1 << 30)
    let found = try #require(try planner.withoutRecompute(within: 2 << 30))
    let expected = try compile(.none)
    #expect(found.plan == expected.plan)
    #expect(found.memoryPlan.arenaByteCount == expected.memoryPlan.arenaByteCount)
    let everything = try Compilation(
      graph, outputs: model.outputs, plan: .everything(in: graph), fuses: true)
    #expect(found.report.kernelCount == everything.report.kernelCount)
    #expect(try compile(.block).report.kernelCount > found.report.kernelCount)
    // What the run holds besides takes the room.
    let none = try planner.withoutRecompute(within: 1 << 30)
    #expect(none.map(\.memoryPlan.arenaByteCount) == nil)
  }

  @Test func `what a run holds beside the arena is taken from the budget`() throws {
    let model = try TinyLlama(.bf16) { $0.layers = 6 }
    let graph = model.example.graph
    func planner() -> RecomputePlanner {
      RecomputePlanner(graph, outputs: model.outputs, fuses: true)
    }
    var first = planner()
    let least = try first.smallest().memoryPlan.arenaByteCount
    let most = try Compilation(
      graph, outputs: model.outputs, plan: .everything(in: graph), fuses: true
    ).memoryPlan.arenaByteCount
    let others = (most - least) / 2
    let whole = try first.quickest(within: most)
    #expect(whole.memoryPlan.arenaByteCount <= most)
    #expect(whole.memoryPlan.arenaByteCount > most - others)
    var second = planner()
    var asked = 0
    let part = try second.quickest(within: most) { _ in
      asked += 1
      return others
    }
    #expect(asked > 0)
    #expect(second.others == others)
    #expect(part.memoryPlan.arenaByteCount <= most - others)
    #expect(CostModel.standard.seconds(part) >= CostModel.standard.seconds(whole))
    // What was learned doesn't stand in the way of another budget.
    let smallest = try second.quickest(within: others + least) { _ in others }
    #expect(smallest.memoryPlan.arenaByteCount <= least)
    let refused = GraphError(.arenaTooSmall(byteCount: 1000, least: least))
    #expect(throws: refused) { try second.quickest(within: others + 1000) { _ in others } }
  }
}
