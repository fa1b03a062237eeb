internal import GraftCore
internal import GraftKernels

extension Schedule {
  /// Joins runs of steps whose rows need nothing from other rows into chains.
  ///
  /// A step joins the open chain when its left operand, its result and its iteration space follow the chain's rows and what else
  /// it reads was there before the chain; so does a sum over the rows, which nobody in the chain may read. A step that can't join
  /// runs after the chain when it needs something from it, else before; the chain is closed when the next step needs one that
  /// runs after it, or lies in another phase than one. What only changes parameters, such as the accumulators of gradients, has time
  /// until after the chain.
  mutating func formChains(_ graph: Graph, outputs: Set<Value>) {
    var former = ChainFormation(graph, self, outputs)
    for index in steps.indices { former.take(index) }
    former.close()
    steps = former.result
  }
}

private struct ChainFormation {
  let graph: Graph
  let steps: [Step]
  let assigned: [Value: Value]
  let outputs: Set<Value>
  /// The steps that read each value, counted.
  private var readers: ValueTable<Int>
  /// For each step, the rows of the next product that could be in a chain.
  private var rowsAhead: [Int?]
  private(set) var result: [Step] = []

  // The open chain.
  private var rows = 0
  private var members: [Step] = []
  private var made: Set<Value> = []
  private var reads: [Value: Int] = [:]
  /// Steps that run after the open chain, and their phase.
  private var after: [Step] = []
  private var phaseAfter: Int?
  /// What isn't there before the end of the chain: sums over its rows, and what later steps make.
  private var madeAfter: Set<Value> = []

  init(_ graph: Graph, _ schedule: Schedule, _ outputs: Set<Value>) {
    self.graph = graph
    steps = schedule.steps
    assigned = schedule.assigned
    self.outputs = outputs
    readers = ValueTable(graph, absent: 0)
    rowsAhead = [Int?](repeating: nil, count: steps.count)
    var next: Int?
    for index in steps.indices.reversed() {
      next = productRows(steps[index]) ?? next
      rowsAhead[index] = next
      for value in steps[index].reads(in: graph) { readers[value] += 1 }
    }
  }

  /// The rows of a product that could be in a chain.
  private func productRows(_ step: Step) -> Int? {
    guard case .kernel(let place) = step,
      case .matmul(transposeA: false, _) = graph.nodes[place].op,
      case let rows = graph.nodes[place].results[0].shape[0], RowChain.isWorthwhile(rows: rows)
    else { return nil }
    return rows
  }

  mutating func take(_ index: Int) {
    let step = steps[index]
    let (inputs, phase) = (step.reads(in: graph), phase(of: step))
    let waits = inputs.contains(where: madeAfter.contains)
    if (phaseAfter ?? phase) != phase || waits && !onlyAssigns(step) { close() }
    if members.isEmpty { rows = rowsAhead[index] ?? 0 }
    if rows > 0, follows(step) {
      members.append(step)
      for value in step.writes(in: graph) {
        if isSum(value) { madeAfter.insert(value) } else { made.insert(value) }
      }
      for value in inputs { reads[value, default: 0] += 1 }
    } else if inputs.contains(where: made.contains) || inputs.contains(where: madeAfter.contains) {
      after.append(step)
      madeAfter.formUnion(step.writes(in: graph))
      phaseAfter = phase
    } else {
      result.append(step)
    }
  }

  /// Whether a step makes nothing that another step reads: it only changes parameters.
  private func onlyAssigns(_ step: Step) -> Bool {
    step.writes(in: graph).allSatisfy { assigned[$0] != nil }
  }

  /// Emits the open chain and what waits for it.
  mutating func close() {
    let handsOn = members.contains { $0.reads(in: graph).contains(where: made.contains) }
    if members.count > 1, handsOn {
      result.append(
        .chain(
          Chain(rows: rows, members: members, in: graph) { value in
            made.contains(value) && !outputs.contains(value) && reads[value] == readers[value]
          }))
    } else {
      result += members
    }
    result += after
    (members, made, reads) = ([], [], [:])
    (after, madeAfter, phaseAfter) = ([], [], nil)
  }

  private func phase(of step: Step) -> Int {
    switch step {
    case .tiles(let group): group.operands.last.map { graph.nodes[$0.node].phase } ?? 0
    case .kernel(let place): graph.nodes[place].phase
    case .siblings(let places): places.first.map { graph.nodes[$0].phase } ?? 0
    case .copy, .chain: -1
    }
  }

  // MARK: - What follows the rows

  /// Whether a tile of the step's rows needs only what lies outside of the chain and the same tile of what lies in it.
  private func follows(_ step: Step) -> Bool {
    switch step {
    case .tiles(let group): follows(group)
    case .kernel(let place): follows(graph.nodes[place])
    case .siblings(let places): places.allSatisfy { follows(graph.nodes[$0]) }
    case .copy, .chain: false
    }
  }

  private func follows(_ node: Node) -> Bool {
    guard case .matmul(let transposeA, let transposeB) = node.op else { return false }
    let (a, b) = (graph.base(of: node.inputs[0]), graph.base(of: node.inputs[1]))
    let shape = node.results[0].shape
    if transposeA {
      // A sum over the rows is worth having here for what the chain hands to it.
      return !transposeB && graph.shape(of: node.inputs[0])[0] == rows
        && RowChain.sumsProducts(m: shape[0], n: shape[1], rows: rows)
        && (made.contains(a) || made.contains(b))
    }
    return shape[0] == rows && !made.contains(b)
  }

  /// Whether a value is a sum over all rows, complete only with the chain.
  private func isSum(_ value: Value) -> Bool {
    switch graph.nodes[value.node].op {
    case .sumRows, .matmul(transposeA: true, _): true
    case .parameter, .input, .constant, .dropoutMask, .unary, .binary, .select, .cast, .broadcast,
      .rotateHalf, .rowReduce, .reshape, .matmul, .attention, .attentionBackward,
      .cachedAttention, .gather, .scatterAdd, .crossEntropy, .crossEntropyHeadGradient, .assign:
      false
    }
  }

  private func follows(_ group: LoweredGroup) -> Bool {
    let program = group.program
    guard program.rows > 0, program.rows % rows == 0 else { return false }
    let multiple = program.rows / rows
    var hasSums = false
    for (index, (value, binding)) in zip(group.operands, program.bindings).enumerated() {
      let isRead = index < group.readCount
      guard assigned[value] == nil else { return false }
      if isRead, !made.contains(value) { continue }
      if !isRead, isSum(value) {
        hasSums = true
        continue
      }
      let width = binding.width == .columns ? program.columns : 1
      guard binding.rowModulus == .max, multiple % binding.rowDivisor == 0,
        graph.shape(of: value).elementCount == program.rows / binding.rowDivisor * width
      else { return false }
    }
    return !hasSums || RowChain.sums(program, rows: rows)
  }
}
