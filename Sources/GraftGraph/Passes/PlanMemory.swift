internal import GraftCore
internal import GraftKernels

/// Where every intermediate value lies in the arena.
public struct MemoryPlan: Sendable {
  /// One value's place and the steps that it must last for.
  package struct Buffer: Sendable {
    package let value: Value
    package let byteCount: Int
    package let firstStep: Int
    package var lastStep: Int
    package var offset = 0
  }

  /// The bytes of the arena: the peak of everything that isn't a weight, a parameter or an input.
  public private(set) var arenaByteCount = 0
  /// The least that any plan could do: the largest sum of values alive at one step.
  public private(set) var lowerBoundByteCount = 0
  package private(set) var buffers: [Buffer]
  private(set) var offsets: [Value: Int] = [:]
  /// How many values lie where one of their inputs lay.
  package private(set) var inPlaceCount = 0

  static let alignment = 64

  /// Places buffers, largest first, and where that leaves gaps also those that last longest first; the smaller arena counts.
  package init(_ unplaced: [Buffer], stepCount: Int) {
    buffers = unplaced
    var change = [Int](repeating: 0, count: stepCount + 2)
    for buffer in buffers {
      change[buffer.firstStep] += Self.padded(buffer.byteCount)
      change[buffer.lastStep + 1] -= Self.padded(buffer.byteCount)
    }
    var alive = 0
    for delta in change {
      alive += delta
      lowerBoundByteCount = max(lowerBoundByteCount, alive)
    }
    place { (-$0.byteCount, 0) }
    guard arenaByteCount * 100 > lowerBoundByteCount * 101 else { return }
    let first = self
    place { ($0.firstStep - $0.lastStep, -$0.byteCount) }
    if first.arenaByteCount <= arenaByteCount { self = first }
  }

  /// Places buffers in the order of their ranks, each into the smallest gap among those alive at the same time that holds it.
  private mutating func place(_ rank: (Buffer) -> (Int, Int)) {
    arenaByteCount = 0
    let ranks = buffers.map(rank)
    let order = buffers.indices.sorted { left, right in
      if ranks[left] != ranks[right] { return ranks[left] < ranks[right] }
      return (buffers[left].firstStep, left) < (buffers[right].firstStep, right)
    }
    var placed: [(range: Range<Int>, first: Int, last: Int)] = []
    for index in order {
      let buffer = buffers[index]
      let size = Self.padded(buffer.byteCount)
      // `placed` is sorted by offset; gaps lie between the neighbours in time.
      var best: (gap: Int, offset: Int)?
      var end = 0
      for other in placed where other.first <= buffer.lastStep && other.last >= buffer.firstStep {
        let gap = other.range.lowerBound - end
        if gap >= size, gap < best?.gap ?? .max { best = (gap, end) }
        end = max(end, other.range.upperBound)
      }
      let offset = best?.offset ?? end
      buffers[index].offset = offset
      offsets[buffer.value] = offset
      arenaByteCount = max(arenaByteCount, offset + size)
      let entry = (range: offset..<offset + size, first: buffer.firstStep, last: buffer.lastStep)
      let position = placed.firstIndex { $0.range.lowerBound > offset } ?? placed.endIndex
      placed.insert(entry, at: position)
    }
  }

  private static func padded(_ count: Int) -> Int {
    (count + alignment - 1) / alignment * alignment
  }
}

extension MemoryPlan {
  /// Plans the memory of a schedule from the exact life of every value.
  package init(_ graph: Graph, _ schedule: Schedule, used: Set<Value>, outputs: Set<Value>) {
    var written: [Value] = []
    var first = ValueTable<Int?>(graph, absent: nil)
    var last = ValueTable<Int?>(graph, absent: nil)
    func reads(_ value: Value, _ step: Int) { last[value] = step }
    func writes(_ value: Value, _ step: Int) {
      guard schedule.assigned[value] == nil,
        used.contains(value) || !graph.nodes[value.node].op.canOmit(result: value.result)
      else { return }
      if first[value] == nil { written.append(value) }
      first[value] = step
      last[value] = max(last[value] ?? step, step)
    }
    for (step, what) in schedule.steps.enumerated() {
      for value in what.writes(in: graph) { writes(value, step) }
      for value in what.reads(in: graph) { reads(value, step) }
    }
    for output in outputs { last[graph.base(of: output)] = schedule.steps.count }
    let heirs = Self.heirs(graph, schedule, first: first, last: last)
    var owner: [Value: Value] = [:]
    for (value, heir) in heirs { owner[heir] = value }
    let buffers = written.filter { owner[$0] == nil }.map { ($0, first[$0] ?? 0) }.sorted {
      ($0.1, $0.0.node, $0.0.result) < ($1.1, $1.0.node, $1.0.result)
    }
    .map { value, step in
      var final = value
      while let heir = heirs[final] { final = heir }
      return Buffer(
        value: value, byteCount: graph.type(of: value).byteCount, firstStep: step,
        lastStep: last[final] ?? step)
    }
    self.init(buffers, stepCount: schedule.steps.count)
    inPlaceCount = heirs.count
    for buffer in buffers {
      var final = buffer.value
      while let heir = heirs[final] {
        offsets[heir] = offsets[buffer.value]
        final = heir
      }
    }
  }

  /// For values that a pointwise step reads last, the result of that step which takes their place.
  ///
  /// Both are read and written row by row at the same elements, and nobody reads the old ones later.
  private static func heirs(
    _ graph: Graph, _ schedule: Schedule, first: ValueTable<Int?>, last: ValueTable<Int?>
  ) -> [Value: Value] {
    var heirs: [Value: Value] = [:]
    for (step, what) in schedule.steps.enumerated() {
      guard case .tiles(let group) = what else { continue }
      let bindings = group.program.bindings
      for result in group.readCount..<bindings.count {
        let written = group.operands[result]
        guard first[written] != nil, bindings[result].isNatural else { continue }
        let dying = (0..<group.readCount).first { read in
          let value = group.operands[read]
          return first[value] != nil && last[value] == step && heirs[value] == nil
            && bindings[read] == bindings[result]
            && graph.type(of: value).byteCount == graph.type(of: written).byteCount
            && group.operands[..<group.readCount].count { $0 == value } == 1
        }
        if let dying { heirs[group.operands[dying]] = written }
      }
    }
    return heirs
  }
}

extension TileProgram.Binding {
  /// Whether row r of the iteration is row r in memory.
  fileprivate var isNatural: Bool { rowDivisor == 1 && rowModulus == .max }
}
