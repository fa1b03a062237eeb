internal import Glibc
internal import GraftCore

/// Finds what to keep for the backward pass within a number of bytes.
///
/// Dynamic programming over the blocks' modes gives a ladder of plans, quicker from rung to rung; it depends on the graph
/// alone. The rung for a budget is found by running the passes themselves on a few plans, so that its arena is exact.
package struct RecomputePlanner {
  private let source: Graph
  private let outputs: [Value]
  private let fuses: Bool
  private let sequence: BlockSequence
  /// What each rung's outline may take.
  private let capacities: [Int]
  private let unit: Int
  private var choices: [Int: BlockChoice] = [:]
  private var compilations: [(choice: BlockChoice, compilation: Compilation)] = []

  private static let rungCount = 96
  private static let levelCount = 2048

  /// Looks at a differentiated graph's blocks.
  package init(
    _ source: Graph, outputs: [Value], fuses: Bool, costs: CostModel = .standard
  ) {
    self.source = source
    self.outputs = outputs
    self.fuses = fuses
    sequence = BlockSequence(source, outputs: outputs, costs: costs)
    let most = sequence.mostBytes()
    unit = max(1, most / Self.levelCount)
    // Rounding to units adds at most one a block and one for its gradients.
    let least = sequence.leastBytes() + unit * (sequence.blocks.count + 2)
    let top = max(most + unit * (sequence.blocks.count + 2), least)
    let last = Self.rungCount - 1
    capacities = (0...last).map { rung in
      Int(Double(least) * pow(Double(top) / Double(max(least, 1)), Double(rung) / Double(last)))
        + 1
    }
  }

  /// The quickest plan whose arena takes at most `byteCount`.
  ///
  /// - Throws: ``GraphError/Reason/arenaTooSmall(byteCount:least:)``.
  package mutating func quickest(within byteCount: Int) throws(GraphError) -> Compilation {
    var fitting: (rung: Int, compilation: Compilation)?
    var tooLarge = Self.rungCount
    // How much an exact arena differs from its outline; learnt from the last one.
    var difference = 0
    while tooLarge - (fitting?.rung ?? -1) > 1 {
      let guess = capacities.lastIndex { $0 + difference <= byteCount } ?? 0
      let rung = min(max(guess, (fitting?.rung ?? -1) + 1), tooLarge - 1)
      let compilation = try compilation(rung: rung)
      let arena = compilation.memoryPlan.arenaByteCount
      difference = arena - capacities[rung]
      if arena <= byteCount { fitting = (rung, compilation) } else { tooLarge = rung }
    }
    guard let fitting else {
      let least = try smallest().memoryPlan.arenaByteCount
      throw GraphError(.arenaTooSmall(byteCount: byteCount, least: least))
    }
    return fitting.compilation
  }

  /// The plan with the smallest arena.
  package mutating func smallest() throws(GraphError) -> Compilation { try compilation(rung: 0) }

  // MARK: - Rungs

  private mutating func compilation(rung: Int) throws(GraphError) -> Compilation {
    let choice = choice(rung: rung)
    if let known = compilations.first(where: { $0.choice == choice }) { return known.compilation }
    let kept = sequence.keptNodes(choice)
    let plan = RecomputePlan(keeping: { kept.contains($0) }, in: source)
    let compilation = try Compilation(source, outputs: outputs, plan: plan, fuses: fuses)
    compilations.append((choice, compilation))
    return compilation
  }

  private mutating func choice(rung: Int) -> BlockChoice {
    if let known = choices[rung] { return known }
    guard let choice = sequence.quickest(within: capacities[rung], unit: unit) else {
      preconditionFailure("every rung has room for the least")
    }
    choices[rung] = choice
    return choice
  }
}
