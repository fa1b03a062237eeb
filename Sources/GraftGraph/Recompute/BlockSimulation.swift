/// One block's backward pass in outline: what it keeps, runs again and holds, for a set of kept members.
///
/// The members run in the order in which the passes will put them. What a chain of pointwise work makes only for itself takes no
/// memory; the exact plan, which knows the fusion groups, is checked afterwards.
struct BlockSimulation {
  /// Bytes that live from the block's forward pass to its gradients.
  private(set) var keptBytes = 0
  /// Seconds of what runs again.
  private(set) var seconds = 0.0
  /// How many kernels run again.
  private(set) var kernelsAgain = 0
  /// The most bytes that the gradients' steps hold, the kept among them.
  private(set) var peakBytes = 0
  /// The kept members that somebody reads.
  private(set) var kept: [Int] = []

  /// Something with memory, or in registers of a chain.
  private struct Item {
    var byteCount: Int
    var first: Int
    var last: Int
    var level = 0
    var isRegister: Bool
    /// For registers, the items with memory that it is computed from.
    var reads: [Int] = []
  }

  private let structure: BlockStructure
  private let keeps: [Bool]
  private let costs: CostModel
  private var items: [Item] = []
  private var copies: [Int?]
  private var keptItems: [Int?]
  private var gradients: [Int?]
  private var arriving: [Int: Int] = [:]
  private var time = 0

  init(_ structure: BlockStructure, keeps: [Bool], costs: CostModel) {
    self.structure = structure
    self.keeps = keeps
    self.costs = costs
    copies = [Int?](repeating: nil, count: structure.forward.count)
    keptItems = copies
    gradients = [Int?](repeating: nil, count: structure.backward.count)
    for index in structure.backward.indices {
      let member = structure.backward[index]
      let inputs = member.inputs.map { item($0, servesKernel: member.op.kind == .opaque) }
      gradients[index] = run(member, inputs)
    }
    measure()
  }

  /// The seconds of running a whole block again for its results.
  static func replaySeconds(_ structure: BlockStructure, costs: CostModel) -> Double {
    structure.forward.reduce(0) {
      $0 + costs.seconds($1.op, inputs: $1.inputTypes, results: $1.results)
    }
  }

  // MARK: - Order

  private mutating func item(_ source: BlockStructure.Source, servesKernel: Bool) -> Int? {
    switch source {
    case .given: return nil
    case .backward(let index): return gradients[index]
    case .arriving(let index, let byteCount):
      if let known = arriving[index] { return known }
      items.append(Item(byteCount: byteCount, first: 0, last: 0, isRegister: false))
      arriving[index] = items.count - 1
      return items.count - 1
    case .forward(let index): return forward(index, servesKernel: servesKernel)
    }
  }

  private mutating func forward(_ index: Int, servesKernel: Bool) -> Int? {
    let member = structure.forward[index]
    let isKept: Bool
    let serves: Bool
    switch member.op.kind {
    case .view:
      return member.inputs.first.flatMap { item($0, servesKernel: servesKernel) }
    case .opaque: (isKept, serves) = (keeps[index], true)
    case .fusible: (isKept, serves) = (keeps[index] && (member.leaves || servesKernel), false)
    case .leaf, .constant, .effect: return nil
    }
    if isKept {
      if let known = keptItems[index] { return known }
      // What leaves the block is another block's input and counted there.
      let bytes = member.leaves ? 0 : member.byteCount
      items.append(Item(byteCount: bytes, first: 0, last: 0, isRegister: false))
      keptItems[index] = items.count - 1
      keptBytes += bytes
      if !member.leaves { kept.append(index) }
      return items.count - 1
    }
    if let known = copies[index], !(member.isMasked && servesKernel) { return known }
    let inputs = member.inputs.map { item($0, servesKernel: serves) }
    seconds += costs.seconds(member.op, inputs: member.inputTypes, results: member.results)
    if member.op.kind == .opaque { kernelsAgain += 1 }
    let copy = run(member, inputs, isAgain: true)
    copies[index] = copy
    return copy
  }

  /// Adds a step, or a register of a later one.
  private mutating func run(
    _ member: BlockStructure.Member, _ inputs: [Int?], isAgain: Bool = false
  ) -> Int? {
    let isOpaque = member.op.kind == .opaque
    if member.op.kind == .view { return inputs[0] }
    let level = inputs.reduce(0) { max($0, $1.map { items[$0].level } ?? 0) }
    // A register that is needed after a kernel that came later has been stored meanwhile.
    for input in inputs {
      guard let input, items[input].isRegister else { continue }
      if isOpaque || items[input].level < level { store(input) }
    }
    var reads: Set<Int> = []
    for case let input? in inputs {
      if items[input].isRegister {
        reads.formUnion(items[input].reads)
      } else {
        reads.insert(input)
      }
    }
    let isStored = isOpaque || member.op == .sumRows || (member.leaves && !isAgain)
    time += 1
    items.append(
      Item(
        byteCount: member.byteCount, first: time, last: time, level: isOpaque ? level + 1 : level,
        isRegister: !isStored, reads: Array(reads)))
    if isStored {
      for read in reads { items[read].last = max(items[read].last, time) }
      if member.leaves && !isAgain { items[items.count - 1].last = .max }
    }
    return items.count - 1
  }

  private mutating func store(_ register: Int) {
    items[register].isRegister = false
    for read in items[register].reads {
      items[read].last = max(items[read].last, items[register].first)
    }
  }

  // MARK: - Sums

  private mutating func measure() {
    var change = [Int](repeating: 0, count: time + 2)
    for item in items where !item.isRegister {
      change[item.first] += item.byteCount
      change[min(item.last, time) + 1] -= item.byteCount
    }
    var alive = 0
    for delta in change {
      alive += delta
      peakBytes = max(peakBytes, alive)
    }
  }
}
