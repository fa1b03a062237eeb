internal import GraftCore

extension Schedule {
  /// Moves steps down to their first reader where that holds fewer bytes in between.
  ///
  /// The graph's order asks for the gradient of a block's last product before anything of the block runs again; its result, wide as the
  /// inner layer, is needed only after that, and then often in the same chain.
  mutating func postpone(_ graph: Graph, outputs: Set<Value>) {
    var pass = Postponement(graph, self, outputs)
    for index in steps.indices.reversed() { pass.take(index) }
    steps = steps.indices.sorted { pass.places[$0] < pass.places[$1] }.map { steps[$0] }
  }
}

private struct Postponement {
  let graph: Graph
  let steps: [Step]
  let outputs: Set<Value>
  /// Parameters that some step writes: who reads them stays where it is.
  private let written: Set<Int>
  private let assigned: Set<Value>
  private var readers: ValueTable<[Int]>
  /// Where each step goes: the place of the step that it runs before, and its rank among those there.
  private(set) var places: [Place]
  private var moved = 0

  struct Place: Comparable {
    let step: Int
    let rank: Int

    static func < (a: Place, b: Place) -> Bool { (a.step, a.rank) < (b.step, b.rank) }
  }

  init(_ graph: Graph, _ schedule: Schedule, _ outputs: Set<Value>) {
    self.graph = graph
    steps = schedule.steps
    self.outputs = outputs
    assigned = Set(schedule.assigned.keys)
    written = Set(
      schedule.assigned.values.map(\.node)
        + steps.compactMap { if case .copy(_, let target) = $0 { target.node } else { nil } })
    places = steps.indices.map { Place(step: $0, rank: 0) }
    readers = ValueTable(graph, absent: [])
    for (index, step) in steps.enumerated() {
      for value in step.reads(in: graph) where readers[value].last != index {
        readers[value].append(index)
      }
    }
  }

  /// Moves a step whose readers have found their places.
  mutating func take(_ index: Int) {
    let step = steps[index]
    guard isMovable(step) else { return }
    let (writes, reads) = (step.writes(in: graph), Set(step.reads(in: graph)))
    let later = writes.flatMap { readers[$0] }
    guard let first = later.map({ places[$0] }).min(), first.step > index + 1,
      !writes.contains(where: { outputs.contains($0) || assigned.contains($0) }),
      !reads.contains(where: { written.contains($0.node) })
    else { return }
    if case .copy = steps[first.step] { return }
    let held = reads.reduce(0) { sum, value in
      let staysAnyway =
        graph.nodes[value.node].op.kind == .leaf || outputs.contains(value)
        || readers[value].contains { $0 != index && places[$0] >= first }
      return staysAnyway ? sum : sum + graph.type(of: value).byteCount
    }
    let freed = writes.reduce(0) { $0 + graph.type(of: $1).byteCount }
    guard held < freed else { return }
    moved += 1
    places[index] = Place(step: first.step, rank: -moved)
  }

  private func isMovable(_ step: Step) -> Bool {
    switch step {
    case .tiles: true
    case .kernel(let place):
      if case .matmul = graph.nodes[place].op { true } else { false }
    case .siblings, .chain, .copy: false
    }
  }
}
