internal import CKernels
internal import GraftCore

/// When each node of a program runs, and the slots of the values that wait in the scratch.
struct TileStages {
  let nodes: [TileNode]
  let layouts: [TileProgram.Binding]
  /// The stage of each node.
  private(set) var stage: [Int]
  private(set) var count = 0
  /// The slot of each value that has one.
  private(set) var slot: [Int?]
  private(set) var slotCount = 0

  /// - Parameter floors: nodes from an index on that may not run before a stage, because a chain became too long.
  init(
    _ nodes: [TileNode], layouts: [TileProgram.Binding], storesLast: Bool,
    floors: [(node: Int, stage: Int)]
  ) {
    self.nodes = nodes
    self.layouts = layouts
    stage = Array(repeating: 0, count: nodes.count)
    slot = Array(repeating: nil, count: nodes.count)
    for (i, node) in nodes.enumerated() {
      var own = node.runsInChain ? floors.reduce(0) { i >= $1.node ? max($0, $1.stage) : $0 } : 0
      for operand in node.operands { own = max(own, earliest(node, after: operand)) }
      stage[i] = own
    }
    // Chains that had to be cut stay cut.
    if floors.isEmpty { postpone() }
    if storesLast { putStoresLast() }
    count = (stage.max() ?? 0) + 1
    assignSlots(storesLast: storesLast)
  }

  /// Whether a value is read from memory as it lies there, by chains.
  func isInPlace(_ node: Int) -> Bool {
    let node = nodes[node]
    guard node.has(GRAFT_LOAD), node.form & TileNode.perColumn != 0 else { return false }
    let dtype = layouts[node.binding].dtype
    return dtype == .f32 || dtype == .bf16
  }

  /// Whether a rotation reads its operand from memory: groups don't cross strips.
  func rotatesInPlace(_ node: Int) -> Bool {
    isInPlace(nodes[node].operands[0]) && GRAFT_STRIP % nodes[node].width == 0
  }

  private func earliest(_ node: TileNode, after operand: Int) -> Int {
    let source = nodes[operand]
    let waits = source.isReduction || source.runsInChain && node.has(GRAFT_ROTATE_HALF)
    return stage[operand] + (waits ? 1 : 0)
  }

  /// Values made from memory alone are made where they are needed rather than kept from an earlier stage.
  private mutating func postpone() {
    var needed = [Int](repeating: .max, count: nodes.count)
    for i in nodes.indices.reversed() {
      let node = nodes[i]
      let isFree =
        node.runsInChain && node.definesValue && !node.isReduction
        && node.operands.allSatisfy { nodes[$0].form != TileNode.full || isInPlace($0) }
      if isFree, needed[i] < .max { stage[i] = max(stage[i], needed[i]) }
      for operand in node.operands {
        let waits =
          nodes[operand].isReduction
          || nodes[operand].runsInChain && node.has(GRAFT_ROTATE_HALF)
        needed[operand] = min(needed[operand], stage[i] - (waits ? 1 : 0))
      }
    }
  }

  /// So many that a chain has room for as much again.
  private static let storesPerChain = GRAFT_CHAIN_OPERANDS / 2

  private mutating func putStoresLast() {
    let computed = nodes.indices.filter { !nodes[$0].isStore }.map { stage[$0] }.max() ?? 0
    let stores = nodes.indices.filter { nodes[$0].isStore }
    for (place, store) in stores.filter({ nodes[$0].runsInChain }).enumerated() {
      stage[store] = computed + place / Self.storesPerChain
    }
    // Steps run before the chain of their stage, so theirs is the one that has no chain.
    let last = stage.max() ?? 0
    for store in stores where !nodes[store].runsInChain { stage[store] = last + 1 }
  }

  // MARK: - Slots

  /// Points in time: steps of a stage, then its chain.
  private func time(_ node: Int) -> Int { 2 * stage[node] + (nodes[node].runsInChain ? 1 : 0) }

  /// A value has a slot when anything reads it outside the chain that makes it.
  private mutating func assignSlots(storesLast: Bool) {
    var end = [Int?](repeating: nil, count: nodes.count)
    for (i, node) in nodes.enumerated() {
      for operand in node.operands {
        let source = nodes[operand]
        let isRead =
          if isInPlace(operand), storesLast, node.isStore {
            true  // before another store changes it
          } else if isInPlace(operand) {
            node.has(GRAFT_ROTATE_HALF)
              ? !(node.runsInChain && rotatesInPlace(i)) : !node.runsInChain
          } else {
            source.isReduction || !source.runsInChain || time(operand) != time(i)
          }
        if isRead { end[operand] = max(end[operand] ?? 0, time(i)) }
      }
    }
    // A value that has one is read there by all.
    for (i, node) in nodes.enumerated() {
      for operand in node.operands {
        if let known = end[operand] { end[operand] = max(known, time(i)) }
      }
    }
    for (i, node) in nodes.enumerated() where node.isReduction && end[i] == nil { end[i] = time(i) }
    var free: [Int] = []
    var held: [(slot: Int, end: Int)] = []
    let order = nodes.indices.filter { end[$0] != nil }.sorted { (time($0), $0) < (time($1), $1) }
    for i in order {
      free += held.filter { $0.end < time(i) }.map(\.slot)
      held.removeAll { $0.end < time(i) }
      if free.isEmpty {
        free.append(slotCount)
        slotCount += 1
      }
      let own = free.removeLast()
      slot[i] = own
      held.append((own, end[i] ?? 0))
    }
  }
}
