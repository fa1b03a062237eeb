internal import GraftCore

/// Nodes that run as one tile program over one iteration space.
package struct FusionGroup: Sendable {
  /// The members, in the graph's order.
  package var nodes: [Int]
  /// Rows of the iteration space.
  package var rows: Int
  /// Columns of the iteration space.
  package var columns: Int
}

/// Which nodes run together.
package struct Fusion: Sendable {
  /// The groups; one that was merged into another is empty.
  package let groups: [FusionGroup]
  /// The group of each node; nil for nodes that aren't fusible, or are computed wherever they are used.
  package let groupOfNode: [Int?]
  /// Nodes that every user computes for itself: widening casts.
  package let inlined: [Bool]
  /// Whether nodes and steps may join at all.
  package let fuses: Bool

  /// The largest number of nodes in a group: registers of a tile program are cache.
  static let maximumNodes = 96

  /// Forms groups; without `fuses` every node is one.
  ///
  /// Each node begins as a group and merges with those that make or read one of its inputs, when the iteration
  /// spaces agree and no path leads out of the merged group and back. Groups stay inside their phase, so that no
  /// tile program ties early memory to late work. What dropout leaves of a value for a kernel stays by itself: it is made right before
  /// the kernel, so that the copies of one value under several masks don't wait for their kernels together.
  package init(_ graph: Graph, live: [Bool], outputs: Set<Value>, fuses: Bool) {
    var builder = FusionBuilder(graph, inlined: graph.inlinedNodes(live: live, outputs: outputs))
    builder.formGroups(graph, live: live, fuses: fuses)
    groups = builder.groups
    groupOfNode = builder.groupOfNode
    inlined = builder.inlined
    self.fuses = fuses
  }
}

/// The groups while they are formed.
private struct FusionBuilder {
  private(set) var groups: [FusionGroup] = []
  private(set) var groupOfNode: [Int?]
  let inlined: [Bool]
  /// What each node reads of its own phase.
  private let makers: Makers
  /// The last search of ``leadsBack(from:to:)`` that came to each node, counted from 1.
  private var seenBy: [Int]
  private var searchCount = 0

  init(_ graph: Graph, inlined: [Bool]) {
    self.inlined = inlined
    groupOfNode = [Int?](repeating: nil, count: graph.nodes.count)
    makers = Makers(graph, inlined)
    seenBy = [Int](repeating: 0, count: graph.nodes.count)
  }

  mutating func formGroups(_ graph: Graph, live: [Bool], fuses: Bool) {
    let standsAlone = graph.maskedForKernels(live: live, inlined)
    var readers = ValueTable<[Int]>(graph, absent: [])
    for (place, node) in graph.nodes.enumerated()
    where live[place] && node.op.kind == .fusible && !inlined[place] {
      let shape = graph.iterationShape(of: place)
      groups.append(FusionGroup(nodes: [place], rows: shape.rows, columns: shape.columns))
      groupOfNode[place] = groups.count - 1
      let operands = graph.operands(of: place, inlined)
      guard fuses, !standsAlone[place] else { continue }
      mergeNeighbours(of: place, operands, graph, readers)
      for operand in operands where graph.shape(of: operand).elementCount > 1 {
        readers[operand].append(place)
      }
    }
  }

  // MARK: - Merging

  /// Merges a new node's group with the groups that make or read its operands, latest first.
  private mutating func mergeNeighbours(
    of place: Int, _ operands: [Value], _ graph: Graph, _ readers: ValueTable<[Int]>
  ) {
    var neighbours: [Int] = []
    for operand in operands {
      if let maker = groupOfNode[operand.node] { neighbours.append(maker) }
      for reader in readers[operand] {
        if let group = groupOfNode[reader] { neighbours.append(group) }
      }
    }
    neighbours.sort(by: >)
    for (index, neighbour) in neighbours.enumerated()
    where index == 0 || neighbour != neighbours[index - 1] {
      guard let own = groupOfNode[place], own != neighbour, !groups[neighbour].nodes.isEmpty,
        let space = mergedSpace(own, neighbour, graph)
      else { continue }
      for node in groups[own].nodes { groupOfNode[node] = neighbour }
      groups[neighbour] = FusionGroup(
        nodes: (groups[neighbour].nodes + groups[own].nodes).sorted(), rows: space.rows,
        columns: space.columns)
      groups[own].nodes = []
    }
  }

  /// The iteration space of two groups together; nil when they can't be one.
  private mutating func mergedSpace(_ a: Int, _ b: Int, _ graph: Graph) -> IterationSpace? {
    let (one, other) = (groups[a], groups[b])
    guard graph.nodes[one.nodes[0]].phase == graph.nodes[other.nodes[0]].phase,
      one.nodes.count + other.nodes.count <= Fusion.maximumNodes,
      let space = IterationSpace(merging: one, other)
    else { return nil }
    for (index, partner) in [(a, b), (b, a)] {
      let isSameSpace =
        groups[index].rows == space.rows && groups[index].columns == space.columns
      for member in groups[index].nodes {
        guard isSameSpace || graph.runs(member, over: space) else { return nil }
        let shape = graph.iterationShape(of: member)
        for input in graph.nodes[member].inputs
        where !isSameSpace || groupOfMaker(of: input, graph) == partner {
          guard isExpressible(input, in: shape, over: space, [a, b], graph) else { return nil }
        }
      }
    }
    return leadsBack(from: a, to: b) || leadsBack(from: b, to: a) ? nil : space
  }

  /// The group that makes a value, seen through views and inlined casts.
  private func groupOfMaker(of value: Value, _ graph: Graph) -> Int? {
    var base = graph.base(of: value)
    while inlined[base.node] { base = graph.base(of: graph.nodes[base.node].inputs[0]) }
    return groupOfNode[base.node]
  }

  /// Whether an operand can be addressed in an iteration space, or is a register of one of the groups.
  ///
  /// A column sum is complete only after its whole program, so nobody inside can read it.
  private func isExpressible(
    _ value: Value, in shape: Shape, over space: IterationSpace, _ inside: [Int], _ graph: Graph
  ) -> Bool {
    let base = graph.base(of: value)
    let op = graph.nodes[base.node].op
    if case .dropoutMask = op {
      // A factor follows from its element's place among all elements.
      return graph.shape(of: value).elementCount == space.rows * space.columns
    }
    if op.kind == .constant { return true }
    guard
      let address = Addressing(
        of: graph.shape(of: value), broadcastTo: shape, rows: space.rows, columns: space.columns)
    else { return false }
    if let maker = groupOfNode[base.node], inside.contains(maker) {
      return address.isNatural && graph.nodes[base.node].op != .sumRows
    }
    guard inlined[base.node] else { return true }
    return (value == base || address.isNatural)
      && isExpressible(graph.nodes[base.node].inputs[0], in: shape, over: space, inside, graph)
  }

  /// Whether a path goes from one group through other steps to another group.
  ///
  /// Phases are stretches of the graph's order, so that a path between two groups of a phase stays in it.
  private mutating func leadsBack(from source: Int, to target: Int) -> Bool {
    searchCount += 1
    var stack: [Int] = []
    // Direct edges are no obstacle: they become registers.
    for member in groups[target].nodes {
      for maker in makers[member]
      where groupOfNode[maker].map({ $0 != source && $0 != target }) ?? true && isNew(maker) {
        stack.append(maker)
      }
    }
    while let node = stack.popLast() {
      guard let group = groupOfNode[node] else {
        for maker in makers[node] where isNew(maker) { stack.append(maker) }
        continue
      }
      if group == source { return true }
      let first = groups[group].nodes[0]
      if first != node, !isNew(first) { continue }
      for member in groups[group].nodes {
        for maker in makers[member] where isNew(maker) { stack.append(maker) }
      }
    }
    return false
  }

  /// Whether the search hasn't come to a node before.
  private mutating func isNew(_ node: Int) -> Bool {
    guard seenBy[node] != searchCount else { return false }
    seenBy[node] = searchCount
    return true
  }
}

/// The nodes of its own phase whose results each node reads, seen through views and inlined casts, in one array.
private struct Makers {
  private var all: [Int] = []
  private var ends: [Int] = []

  init(_ graph: Graph, _ inlined: [Bool]) {
    all.reserveCapacity(graph.nodes.count * 2)
    ends.reserveCapacity(graph.nodes.count)
    for node in graph.nodes {
      for input in node.inputs {
        var base = graph.base(of: input)
        while inlined[base.node] { base = graph.base(of: graph.nodes[base.node].inputs[0]) }
        if graph.nodes[base.node].phase == node.phase { all.append(base.node) }
      }
      ends.append(all.count)
    }
  }

  /// The makers of what a node reads.
  subscript(node: Int) -> ArraySlice<Int> { all[(node > 0 ? ends[node - 1] : 0)..<ends[node]] }
}

extension Graph {
  /// Which nodes put a mask of dropout on a value that kernels alone read.
  fileprivate func maskedForKernels(live: [Bool], _ inlined: [Bool]) -> [Bool] {
    var masked = nodes.indices.map { isMasked($0) }
    for (place, node) in nodes.enumerated() where live[place] && node.op.kind == .fusible {
      for operand in operands(of: place, inlined) { masked[operand.node] = false }
    }
    return masked
  }
}
