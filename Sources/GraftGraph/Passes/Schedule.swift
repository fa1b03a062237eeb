internal import GraftCore

/// The steps in order, and which steps make and read each value in memory.
package struct Schedule: Sendable {
  package internal(set) var steps: [Step] = []
  /// The parameter that a group writes straight into, instead of a buffer, by the written value.
  package private(set) var assigned: [Value: Value] = [:]

  /// Orders groups and kernels so that each runs once its inputs are there, early nodes first.
  package init(_ graph: Graph, live: [Bool], fusion: Fusion, outputs: Set<Value>) {
    let stored = Self.storedNodes(graph, live, fusion, outputs)
    assigned = Self.directAssignments(graph, live, fusion, outputs)
    var isDone = [Bool](repeating: false, count: graph.nodes.count)
    var emitted = [Bool](repeating: false, count: fusion.groups.count)
    var copies: [Step] = []

    // Depth-first from each node in the graph's order: a group pulls in what all its members need.
    var stack: [(place: Int, isExpanded: Bool)] = []
    func members(_ place: Int) -> [Int] {
      fusion.groupOfNode[place].map { fusion.groups[$0].nodes } ?? [place]
    }
    for root in graph.nodes.indices
    where live[root] && !isDone[root] && !fusion.inlined[root]
      && graph.nodes[root].op.kind != .view
    {
      stack.append((root, false))
      while let (place, isExpanded) = stack.popLast() {
        guard !isDone[place] else { continue }
        let all = members(place)
        if !isExpanded {
          stack.append((place, true))
          for member in all {
            for operand in graph.operands(of: member, fusion.inlined)
            where !isDone[operand.node] && !all.contains(operand.node) {
              stack.append((operand.node, false))
            }
          }
          continue
        }
        for member in all { isDone[member] = true }
        if let group = fusion.groupOfNode[place] {
          guard !emitted[group] else { continue }
          emitted[group] = true
          var lowering = GroupLowering(graph, fusion, group)
          steps.append(.tiles(lowering.lowered(stored: stored)))
          continue
        }
        let node = graph.nodes[place]
        switch node.op.kind {
        case .opaque: steps.append(.kernel(node: place))
        case .effect:
          if assigned[graph.base(of: node.inputs[1])] == nil {
            copies.append(.copy(from: graph.base(of: node.inputs[1]), to: node.inputs[0]))
          }
        case .leaf, .constant, .view, .fusible: break
        }
      }
    }
    steps += copies
    if fusion.fuses {
      postpone(graph, outputs: outputs)
      joinSiblings(graph)
      formChains(graph, outputs: outputs)
    }
  }

  /// Members of groups that somebody outside reads.
  private static func storedNodes(
    _ graph: Graph, _ live: [Bool], _ fusion: Fusion, _ outputs: Set<Value>
  ) -> [Bool] {
    var stored = [Bool](repeating: false, count: graph.nodes.count)
    for output in outputs { stored[graph.base(of: output).node] = true }
    for (place, node) in graph.nodes.enumerated() where live[place] {
      let mine = fusion.groupOfNode[place]
      if node.op.kind == .view || fusion.inlined[place] { continue }
      for operand in graph.operands(of: place, fusion.inlined)
      where mine == nil || fusion.groupOfNode[operand.node] != mine {
        stored[operand.node] = true
      }
    }
    return stored
  }

  /// Who reads a node: how many, and the group of all, unless they are of several or kernels.
  private struct Readers {
    private(set) var count = 0
    private var group: Int?
    private var areMixed = false

    mutating func add(_ other: Int?) {
      if count == 0 { group = other }
      if other == nil || other != group { areMixed = true }
      count += 1
    }

    /// Whether nobody outside of a group is among them.
    func areAll(in expected: Int) -> Bool { count == 0 || !areMixed && group == expected }
  }

  /// Assigned values that their group can write straight into the parameter.
  ///
  /// The value is its own memory, and nothing but the same group reads the parameter. Kernels that add to a parameter one after the other all work in its memory.
  private static func directAssignments(
    _ graph: Graph, _ live: [Bool], _ fusion: Fusion, _ outputs: Set<Value>
  ) -> [Value: Value] {
    var readers = [Readers](repeating: Readers(), count: graph.nodes.count)
    for (place, node) in graph.nodes.enumerated()
    where live[place] && node.op.kind != .effect && node.op.kind != .view && !fusion.inlined[place]
    {
      for operand in graph.operands(of: place, fusion.inlined) {
        readers[operand.node].add(fusion.groupOfNode[place])
      }
    }
    var result: [Value: Value] = [:]
    for place in graph.effects {
      let (target, value) = (
        graph.nodes[place].inputs[0], graph.base(of: graph.nodes[place].inputs[1])
      )
      if let additions = graph.additions(to: target, endingAt: value),
        ([target] + additions.dropLast()).allSatisfy({ readers[$0.node].count == 1 }),
        readers[value.node].count == 0, additions.allSatisfy({ !outputs.contains($0) })
      {
        for addition in additions { result[addition] = target }
        continue
      }
      guard let group = fusion.groupOfNode[value.node], graph.nodes[value.node].op != .sumRows,
        result[value] == nil, !outputs.contains(value),
        readers[target.node].areAll(in: group), readers[value.node].areAll(in: group)
      else { continue }
      result[value] = target
    }
    return result
  }
}

extension Graph {
  /// The nodes that outputs and effects need.
  package func liveNodes(outputs: some Sequence<Value>) -> [Bool] {
    var live = [Bool](repeating: false, count: nodes.count)
    var stack = outputs.map(\.node) + effects
    while let place = stack.popLast() {
      guard !live[place] else { continue }
      live[place] = true
      stack += nodes[place].inputs.map(\.node)
    }
    return live
  }

  /// The values in memory that a live node or an output reads.
  package func usedValues(live: [Bool], outputs: Set<Value>) -> Set<Value> {
    var used = ValueTable(self, absent: false)
    var result: Set<Value> = []
    result.reserveCapacity(nodes.count)
    func use(_ value: Value) {
      let base = base(of: value)
      guard !used[base] else { return }
      used[base] = true
      result.insert(base)
    }
    for output in outputs { use(output) }
    for (place, node) in nodes.enumerated() where live[place] {
      for input in node.inputs { use(input) }
    }
    return result
  }
}
