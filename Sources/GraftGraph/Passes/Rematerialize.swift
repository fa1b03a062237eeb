extension Graph {
  /// Gives the backward pass its own copies of forward values that a plan doesn't keep.
  ///
  /// A copy runs the same instructions on the same inputs, so it has the same bits. What nobody needs, such as a block's last
  /// GEMM, is never copied.
  package func rematerialized(_ plan: RecomputePlan) -> Rematerialized {
    guard backwardStart != nil else {
      return Rematerialized(graph: self, places: Array(nodes.indices), copiedFrom: [:])
    }
    var pass = Rematerialization(self, plan)
    return pass.run()
  }
}

/// A graph whose backward pass has copies of its own.
package struct Rematerialized {
  /// The graph.
  package let graph: Graph
  /// Where each node of the source is.
  fileprivate let places: [Int]
  /// The forward phase that a copy's original belongs to, by the copy's place.
  package let copiedFrom: [Int: Int]

  /// Where a value of the source is.
  package subscript(value: Value) -> Value {
    Value(node: places[value.node], result: value.result)
  }
}

private struct Rematerialization {
  let source: Graph
  let plan: RecomputePlan
  let uses: ForwardUses
  var target = Graph()
  /// The target's node for each node of the source.
  private var copies: [Int] = []
  private var again: [Copy: Int] = [:]
  private var copiedFrom: [Int: Int] = [:]
  private var maskCopies = 0

  /// A forward node that runs again in a phase; views differ by whom they serve.
  private struct Copy: Hashable {
    let place: Int
    let phase: Int
    let servesKernel: Bool
  }

  init(_ source: Graph, _ plan: RecomputePlan) {
    self.source = source
    self.plan = plan
    uses = ForwardUses(source)
    copies.reserveCapacity(source.nodes.count)
    target.reserveCapacity(source.nodes.count * 3 / 2)
    target.phaseSum = source.phaseSum
  }

  mutating func run() -> Rematerialized {
    for (place, node) in source.nodes.enumerated() {
      let isBackward = place >= uses.count
      if place == uses.count { target.backwardStart = target.nodes.count }
      let servesKernel = node.op.kind == .opaque
      let inputs = node.inputs.map { input in
        isBackward && input.node < uses.count
          ? forward(input, servesKernel: servesKernel, in: node.phase)
          : Value(node: copies[input.node], result: input.result)
      }
      target.phase = node.phase
      copies.append(target.add(node.op, inputs, node.results).node)
    }
    return Rematerialized(graph: target, places: copies, copiedFrom: copiedFrom)
  }

  /// A forward value as a node of the backward pass sees it: kept, or computed again.
  ///
  /// It is computed in that node's phase; a value of another block, in a phase of its own that all share which need that block again.
  private mutating func forward(_ value: Value, servesKernel: Bool, in phase: Int) -> Value {
    let place = value.node
    let node = source.nodes[place]
    let kept = Value(node: copies[place], result: value.result)
    let isView: Bool
    switch node.op.kind {
    case .leaf, .constant, .effect: return kept
    case .opaque:
      if plan[place] { return kept }
      isView = false
    case .fusible:
      if plan[place], uses.crosses[place] || servesKernel { return kept }
      isView = false
    case .view: isView = true
    }
    let home = isView || isHome(node.phase, phase) ? phase : replay(of: node.phase)
    if servesKernel, source.isMasked(place) { return masked(place, in: home) }
    let key = Copy(place: place, phase: home, servesKernel: isView && servesKernel)
    if let copy = again[key] { return Value(node: copy, result: value.result) }
    let serves = isView ? servesKernel : node.op.kind == .opaque
    let inputs = node.inputs.map { forward($0, servesKernel: serves, in: home) }
    target.phase = home
    let copy = target.add(node.op, inputs, node.results).node
    again[key] = copy
    copiedFrom[copy] = node.phase
    return Value(node: copy, result: value.result)
  }

  /// What dropout leaves of a value for one kernel: a copy of its own, which isn't kept from one kernel to another.
  private mutating func masked(_ place: Int, in phase: Int) -> Value {
    let node = source.nodes[place]
    maskCopies += 1
    let inputs = node.inputs.map { input in
      let maker = source.nodes[input.node]
      guard case .dropoutMask(let mask, _) = maker.op else {
        return forward(input, servesKernel: false, in: phase)
      }
      let batch = maker.inputs.map { forward($0, servesKernel: false, in: phase) }
      return target.add(.dropoutMask(mask, copy: maskCopies), batch, maker.results)
    }
    target.phase = phase
    let copy = target.add(node.op, inputs, node.results).node
    copiedFrom[copy] = node.phase
    return Value(node: copy)
  }

  /// Whether a phase of the backward pass is the one for a forward phase.
  private func isHome(_ forward: Int, _ phase: Int) -> Bool {
    phase == replay(of: forward) || phase == source.backwardPhase(of: forward)
  }

  /// The phase in which a block runs again for others than its own backward pass.
  private func replay(of forward: Int) -> Int { -forward }
}

extension Graph {
  /// The value whose memory a view shows.
  package func base(of value: Value) -> Value {
    var value = value
    while nodes[value.node].op.kind == .view { value = nodes[value.node].inputs[0] }
    return value
  }
}
