internal import CKernels
internal import GraftCore

/// Puts a program's stages together: steps, then a chain, for each.
struct TileAssembly {
  private(set) var stages: TileStages
  private(set) var steps: [graft_tile_step] = []
  private(set) var chains: [graft_tile_chain] = []
  private(set) var links: [graft_chain_link] = []
  private(set) var operands: [graft_chain_operand] = []
  private var access = MemoryAccess()

  init(_ nodes: [TileNode], layouts: [TileProgram.Binding], storesLast: Bool) {
    var floors: [(node: Int, stage: Int)] = []
    stages = TileStages(nodes, layouts: layouts, storesLast: storesLast, floors: floors)
    while !assemble(storesLast: storesLast, &floors) {
      stages = TileStages(nodes, layouts: layouts, storesLast: storesLast, floors: floors)
    }
  }

  var conflicts: [(read: Int, written: Int)] { access.conflicts }

  /// Fails with another floor when a chain needs more than it can have.
  private mutating func assemble(
    storesLast: Bool, _ floors: inout [(node: Int, stage: Int)]
  ) -> Bool {
    (steps, chains, links, operands, access) = ([], [], [], [], MemoryAccess())
    for stage in 0..<stages.count {
      for node in stages.nodes.indices where isStep(node) && stages.stage[node] == stage {
        append(step: node)
      }
      let members = stages.nodes.indices.filter {
        stages.nodes[$0].runsInChain && stages.stage[$0] == stage
      }
      guard !members.isEmpty else { continue }
      var builder = ChainBuilder(stages, members, storesLast: storesLast, access: access)
      builder.build()
      if !builder.fits {
        let movable = storesLast ? members.filter { !stages.nodes[$0].isStore } : members
        precondition(movable.count > 1, "one node fits a chain")
        floors.append((movable[movable.count / 2], stage + 1))
        return false
      }
      append(builder)
    }
    return true
  }

  /// Values that chains read in place need no step, unless something else reads them too.
  private func isStep(_ node: Int) -> Bool {
    !stages.nodes[node].runsInChain && (!stages.isInPlace(node) || stages.slot[node] != nil)
  }

  private mutating func append(step index: Int) {
    let node = stages.nodes[index]
    var step = graft_tile_step()
    step.op = UInt8(node.op)
    step.form = node.form
    let slots = node.operands.map { Int32(stages.slot[$0] ?? 0) }
    let forms = node.operands.map { stages.nodes[$0].form }
    if slots.count > 0 { (step.operand.0, step.operand_form.0) = (slots[0], forms[0]) }
    if slots.count > 1 { (step.operand.1, step.operand_form.1) = (slots[1], forms[1]) }
    if slots.count > 2 { (step.operand.2, step.operand_form.2) = (slots[2], forms[2]) }
    step.slot = Int32(stages.slot[index] ?? 0)
    step.binding = Int32(node.binding)
    step.width = Int32(node.width)
    step.immediate = node.immediate
    if node.definesValue, stages.slot[index] == nil { return }  // nobody reads it
    if node.has(GRAFT_LOAD) { access.read(node.binding) }
    if node.isStore { access.write(node.binding) }
    steps.append(step)
  }

  private mutating func append(_ builder: ChainBuilder) {
    var chain = graft_tile_chain()
    chain.first_link = Int32(links.count)
    chain.first_operand = Int32(operands.count)
    chain.operand_count = Int32(builder.operands.count)
    chain.reduction_count = Int32(builder.reductions.count)
    var step = graft_tile_step()
    step.op = UInt8(GRAFT_CHAIN.rawValue)
    step.form = TileNode.full
    step.binding = Int32(chains.count)
    steps.append(step)
    chains.append(chain)
    links += builder.links
    operands += builder.operands
    operands += builder.reductions.map {
      graft_chain_operand(
        source: Int32(stages.nodes[$0].op), index: Int32(stages.slot[$0] ?? 0), form: 1)
    }
    access = builder.access
  }
}

/// The order in which bindings are read and written.
struct MemoryAccess {
  private var clock = 0
  private var lastRead: [Int: Int] = [:]
  private var firstWrite: [Int: Int] = [:]

  mutating func read(_ binding: Int) {
    clock += 1
    lastRead[binding] = clock
  }

  mutating func write(_ binding: Int) {
    clock += 1
    if firstWrite[binding] == nil { firstWrite[binding] = clock }
  }

  var conflicts: [(read: Int, written: Int)] {
    lastRead.sorted { $0.key < $1.key }.flatMap { read in
      firstWrite.filter { $0.value < read.value }.map(\.key).sorted()
        .map { (read: read.key, written: $0) }
    }
  }
}
