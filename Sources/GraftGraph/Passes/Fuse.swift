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
  /// The groups.
  package var groups: [FusionGroup] = []
  /// The group of each node; nil for nodes that aren't fusible, or are computed wherever they are used.
  package var groupOfNode: [Int?]

  /// The largest number of nodes in a group: registers of a tile program are cache.
  static let maximumNodes = 96

  /// Forms groups; without `fuses` every node is one.
  ///
  /// A node joins a group that makes or reads one of its inputs when their iteration spaces agree and no path
  /// leads out of the group and back.
  /// Nodes join only inside their phase, so that no tile program ties early memory to late work.
  package init(_ graph: Graph, live: [Bool], outputs: Set<Value>, fuses: Bool) {
    groupOfNode = [Int?](repeating: nil, count: graph.nodes.count)
    inlined = graph.inlinedNodes(live: live, outputs: outputs)
    var readers: [Value: [Int]] = [:]
    for (place, node) in graph.nodes.enumerated()
    where live[place] && node.op.kind == .fusible && !inlined[place] {
      let space = IterationSpace(graph, place)
      var joined: Int?
      if fuses {
        for candidate in candidates(for: node, graph, readers) {
          if let merged = canJoin(place, space, candidate, graph) {
            groups[candidate].nodes.append(place)
            groups[candidate].rows = merged.rows
            groups[candidate].columns = merged.columns
            joined = candidate
            break
          }
        }
      }
      if joined == nil {
        groups.append(FusionGroup(nodes: [place], rows: space.rows, columns: space.columns))
        joined = groups.count - 1
      }
      groupOfNode[place] = joined
      for input in graph.operands(of: place, inlined) where readers[input]?.last != joined {
        readers[input, default: []].append(joined ?? 0)
      }
    }
  }

  /// Nodes that every user computes for itself: widening casts and expressions of parameters alone.
  package private(set) var inlined: [Bool]

  // MARK: - Joining

  /// Groups that make or read an input of the node, latest first.
  private func candidates(
    for node: Node, _ graph: Graph, _ readers: [Value: [Int]]
  ) -> [Int] {
    var found: Set<Int> = []
    func visit(_ value: Value) {
      let base = graph.base(of: value)
      if let group = groupOfNode[base.node] {
        found.insert(group)
      } else if graph.nodes[base.node].op.kind == .fusible {
        for input in graph.nodes[base.node].inputs { visit(input) }
      }
      for group in readers[base] ?? [] { found.insert(group) }
    }
    for input in node.inputs { visit(input) }
    return found.filter { graph.nodes[groups[$0].nodes[0]].phase == node.phase }.sorted(by: >)
  }

  private func canJoin(
    _ place: Int, _ space: IterationSpace, _ candidate: Int, _ graph: Graph
  ) -> (rows: Int, columns: Int)? {
    let group = groups[candidate]
    guard group.nodes.count < Self.maximumNodes,
      let merged = space.merged(with: group, graph),
      !dependsOnGroup(place, candidate, graph)
    else { return nil }
    // A column sum is complete only after the whole program.
    for input in graph.nodes[place].inputs {
      let base = graph.base(of: input)
      if groupOfNode[base.node] == candidate, graph.nodes[base.node].op == .sumRows { return nil }
    }
    let widened = FusionGroup(nodes: group.nodes, rows: merged.rows, columns: merged.columns)
    for member in group.nodes + [place] {
      guard isExpressible(member, in: widened, candidate, joining: place, graph) else { return nil }
    }
    return merged
  }

  /// Whether all operands of a member can be addressed in the group's iteration space.
  private func isExpressible(
    _ member: Int, in group: FusionGroup, _ index: Int, joining: Int, _ graph: Graph
  ) -> Bool {
    let node = graph.nodes[member]
    let full = graph.iterationShape(of: member)
    func visit(_ value: Value, _ shape: Shape) -> Bool {
      guard
        let address = Addressing(
          of: graph.shape(of: value), broadcastTo: shape, rows: group.rows, columns: group.columns)
      else { return false }
      let base = graph.base(of: value)
      let isMember = groupOfNode[base.node] == index || base.node == joining
      if isMember {
        return address.isNatural(rows: group.rows, columns: group.columns)
      }
      let maker = graph.nodes[base.node]
      if groupOfNode[base.node] == nil, maker.op.kind == .fusible, base.node < member {
        guard value == base || address.isNatural(rows: group.rows, columns: group.columns) else {
          return false
        }
        return maker.inputs.allSatisfy { visit($0, shape) }
      }
      return true
    }
    return node.inputs.allSatisfy { visit($0, full) }
  }

  /// Whether an input of the node comes, outside the group, from something that depends on the group.
  ///
  /// A path through views and inlined casts alone stays inside: they are computed by their user.
  private func dependsOnGroup(_ place: Int, _ candidate: Int, _ graph: Graph) -> Bool {
    let first = groups[candidate].nodes[0]
    var seen: Set<Int> = []
    var outside: [Int] = []
    func visitInside(_ node: Int) {
      if groupOfNode[node] == candidate { return }
      switch graph.nodes[node].op.kind {
      case .view: for input in graph.nodes[node].inputs { visitInside(input.node) }
      case .fusible where groupOfNode[node] == nil:
        for input in graph.nodes[node].inputs { visitInside(input.node) }
      case .fusible, .opaque: outside.append(node)
      case .leaf, .constant, .effect: break
      }
    }
    for input in graph.nodes[place].inputs { visitInside(input.node) }
    while let node = outside.popLast() {
      if groupOfNode[node] == candidate { return true }
      guard seen.insert(node).inserted else { continue }
      let members = groupOfNode[node].map { groups[$0].nodes } ?? [node]
      guard let last = members.last, last > first else { continue }
      for member in members {
        seen.insert(member)
        outside += graph.nodes[member].inputs.map(\.node)
      }
    }
    return false
  }
}
