/// The blocks of a graph, with the ways to treat each.
package struct BlockSequence: Sendable {
  /// A block in the order of the forward pass.
  package struct Block: Sendable {
    /// The forward nodes.
    let nodes: [Int]
    /// Those whose results other phases read.
    let handed: [Int]
    /// Bytes of what the block hands to the next one.
    package let outputBytes: Int
    /// Whether the next block alone reads that, so that it may be made again from this block's input.
    package let isReplayable: Bool
    /// Seconds of running the whole block again.
    package let replaySeconds: Double
    /// The ways to treat it, from the one that keeps most.
    package let modes: [BlockMode]

    /// The one that keeps least without running a kernel again.
    var withoutKernelsAgain: BlockMode { modes.last { $0.kernelsAgain == 0 } ?? modes[0] }
  }

  package let blocks: [Block]

  /// Takes a differentiated graph apart; equal blocks are looked at once.
  package init(_ graph: Graph, outputs: [Value], costs: CostModel) {
    let uses = ForwardUses(graph)
    let live = graph.liveNodes(outputs: outputs)
    var nodes: [Int: [Int]] = [:]
    var local = [Int](repeating: 0, count: graph.nodes.count)
    for (place, node) in graph.nodes.enumerated() where live[place] {
      switch node.op.kind {
      case .leaf, .constant, .effect: continue
      case .fusible, .view, .opaque: break
      }
      local[place] = nodes[node.phase]?.count ?? 0
      nodes[node.phase, default: []].append(place)
    }
    var leaves = [Bool](repeating: false, count: graph.nodes.count)
    var readers: [Int: Set<Int>] = [:]
    for (place, node) in graph.nodes.enumerated() where live[place] {
      for input in node.inputs where graph.nodes[input.node].phase != node.phase {
        // A backward node reads a forward value as its block's own.
        if (input.node < uses.count) == (place < uses.count) { leaves[input.node] = true }
        if place < uses.count { readers[input.node, default: []].insert(node.phase) }
      }
    }
    for output in outputs { leaves[output.node] = true }
    var known: [BlockStructure: [BlockMode]] = [:]
    let phases = nodes.keys.filter { phase in
      phase % 2 == 1 && nodes[phase].map { $0[0] < uses.count } ?? false
    }.sorted()
    blocks = phases.enumerated().map { index, phase in
      let forward = nodes[phase] ?? []
      let structure = BlockStructure(
        graph, forward: forward, backward: nodes[graph.backwardPhase(of: phase)] ?? [],
        uses: uses, leaves: leaves, local: local)
      let modes = known[structure] ?? BlockMode.modes(of: structure, costs: costs)
      known[structure] = modes
      let handed = forward.filter { leaves[$0] }
      let next = index + 1 < phases.count ? phases[index + 1] : nil
      return Block(
        nodes: forward, handed: handed,
        outputBytes: handed.reduce(0) { sum, place in
          sum + graph.nodes[place].results.reduce(0) { $0 + $1.byteCount }
        },
        isReplayable: handed.allSatisfy { place in
          !outputs.contains { $0.node == place } && readers[place] == next.map { [$0] }
        },
        replaySeconds: BlockSimulation.replaySeconds(structure, costs: costs), modes: modes)
    }
  }
}
