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
  /// The exact arenas of the plans that were compiled.
  private var arenas: [(choice: BlockChoice, byteCount: Int)] = []
  /// Compilations that may be asked for again.
  private var compilations: [(choice: BlockChoice, compilation: Compilation)] = []
  /// How much an exact arena differs from its outline; learnt from the last one.
  private var difference: Int
  /// What a run holds beside its arena, as far as it is known.
  package private(set) var others: Int

  private static let rungCount = 96
  private static let levelCount = 2048

  /// Looks at a differentiated graph's blocks.
  ///
  /// - Parameter others: about what a run holds beside its arena.
  package init(
    _ source: Graph, outputs: [Value], fuses: Bool, others: Int = 0, costs: CostModel = .standard
  ) {
    self.source = source
    self.others = others
    self.outputs = outputs
    self.fuses = fuses
    sequence = BlockSequence(source, outputs: outputs, costs: costs)
    let most = sequence.mostBytes()
    unit = max(1, most / Self.levelCount)
    // Rounding to units adds at most one a block and one for its gradients.
    let rounding = unit * (sequence.blocks.count + 2)
    difference = -rounding
    let least = sequence.leastBytes() + rounding
    let top = max(most + rounding, least)
    let last = Self.rungCount - 1
    capacities = (0...last).map { rung in
      Int(Double(least) * pow(Double(top) / Double(max(least, 1)), Double(rung) / Double(last)))
        + 1
    }
  }

  /// The plan that runs no kernel again, unless its outline is far beyond `byteCount` for all that a run holds.
  package func withoutRecompute(within byteCount: Int) throws(GraphError) -> Compilation? {
    let outline = sequence.bytesWithoutKernelsAgain()
    guard outline - outline / 4 + others <= byteCount else { return nil }
    let plan = RecomputePlan.kernels(in: source, of: sequence)
    return try Compilation(source, outputs: outputs, plan: plan, fuses: fuses)
  }

  /// The quickest plan whose arena takes at most `byteCount`, less what `besides` says that a run holds beside it.
  ///
  /// What it learns of plans' arenas makes the next call quicker.
  /// - Throws: ``GraphError/Reason/arenaTooSmall(byteCount:least:)``.
  package mutating func quickest(
    within limit: Int, besides: (Compilation) -> Int = { _ in 0 }
  ) throws(GraphError) -> Compilation {
    // That depends on the plan so little that one guess tells it.
    let rung = capacities.lastIndex { $0 + difference + others <= limit } ?? 0
    _ = try arena(rung: rung)
    others = besides(try compilation(rung: rung))
    let byteCount = max(0, limit - others)
    var fitting = -1
    var tooLarge = Self.rungCount
    while tooLarge - fitting > 1, !isFar(beyond: byteCount, rung: fitting + 1, from: fitting) {
      let guess = capacities.lastIndex { $0 + difference <= byteCount } ?? 0
      let rung = min(max(guess, fitting + 1), tooLarge - 1)
      let arena = try arena(rung: rung)
      if arena <= byteCount { fitting = rung } else { tooLarge = rung }
    }
    guard fitting >= 0 else {
      throw GraphError(.arenaTooSmall(byteCount: byteCount, least: try arena(rung: 0)))
    }
    let result = try compilation(rung: fitting)
    // The others would be memory that the run itself has no use for.
    compilations = [(choice(rung: fitting), result)]
    return result
  }

  /// Whether a rung's arena is so far beyond a number of bytes, by what the arena of the rung below says, that compiling it tells nothing.
  ///
  /// Between neighbours the difference of arena and outline changes by a fifth of their distance, seen on the shapes of the benchmarks.
  private mutating func isFar(beyond byteCount: Int, rung: Int, from below: Int) -> Bool {
    guard below >= 0, case let choice = choice(rung: below), self.choice(rung: rung) != choice,
      let known = arenas.first(where: { $0.choice == choice })
    else { return false }
    let distance = capacities[rung] - capacities[below]
    return known.byteCount + distance - distance / 4 > byteCount
  }

  /// The plan with the smallest arena.
  package mutating func smallest() throws(GraphError) -> Compilation { try compilation(rung: 0) }

  // MARK: - Rungs

  private mutating func arena(rung: Int) throws(GraphError) -> Int {
    let choice = choice(rung: rung)
    let arena: Int
    if let known = arenas.first(where: { $0.choice == choice }) {
      arena = known.byteCount
    } else {
      arena = try compilation(rung: rung).memoryPlan.arenaByteCount
    }
    difference = arena - capacities[rung]
    return arena
  }

  private mutating func compilation(rung: Int) throws(GraphError) -> Compilation {
    let choice = choice(rung: rung)
    if let known = compilations.first(where: { $0.choice == choice }) { return known.compilation }
    let kept = sequence.keptNodes(choice)
    let plan = RecomputePlan(keeping: { kept.contains($0) }, in: source)
    let compilation = try Compilation(source, outputs: outputs, plan: plan, fuses: fuses)
    compilations.append((choice, compilation))
    arenas.append((choice, compilation.memoryPlan.arenaByteCount))
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
