/// One way to treat a block: which members are kept, and what that takes.
package struct BlockMode: Sendable, Equatable {
  /// The kept members, in the block's order.
  let kept: [Int]
  /// Bytes that live from the block's forward pass to its gradients, without the block's input.
  package let keptBytes: Int
  /// The most bytes that the gradients' steps hold, the kept among them.
  package let peakBytes: Int
  /// Seconds of what runs again.
  package let seconds: Double
  /// How many kernels run again.
  let kernelsAgain: Int

  private init(_ simulation: BlockSimulation) {
    kept = simulation.kept
    keptBytes = simulation.keptBytes
    peakBytes = simulation.peakBytes
    seconds = simulation.seconds
    kernelsAgain = simulation.kernelsAgain
  }

  /// The modes worth choosing from, from the one that keeps most to the one that keeps least.
  ///
  /// From everything kept, the value that costs the least time for each byte it frees is let go, again and again; from nothing kept,
  /// the value that saves the most time for each byte is added. Of both sequences stays what nothing beats in bytes and time.
  static func modes(of structure: BlockStructure, costs: CostModel) -> [BlockMode] {
    let optional = structure.forward.indices.filter {
      structure.forward[$0].isKeepable && !structure.forward[$0].leaves
    }
    func mode(_ dropped: Set<Int>) -> BlockMode {
      let keeps = structure.forward.indices.map {
        structure.forward[$0].isKeepable && !dropped.contains($0)
      }
      return BlockMode(BlockSimulation(structure, keeps: keeps, costs: costs))
    }
    var dropped: Set<Int> = []
    var current = mode(dropped)
    var found = [current]
    while true {
      let next = current.kept.map { ($0, mode(dropped.union([$0]))) }
        .filter { $0.1.keptBytes < current.keptBytes }
        .min { price($0.1, over: current) < price($1.1, over: current) }
      guard let (member, chosen) = next else { break }
      dropped.insert(member)
      found.append(chosen)
      current = chosen
    }
    dropped = Set(optional)
    current = mode(dropped)
    found.append(current)
    while true {
      let next = dropped.map { ($0, mode(dropped.subtracting([$0]))) }
        .filter { $0.1.seconds < current.seconds && $0.1.keptBytes > current.keptBytes }
        .min { (price(current, over: $0.1), $1.0) > (price(current, over: $1.1), $0.0) }
      guard let (member, chosen) = next else { break }
      dropped.remove(member)
      found.append(chosen)
      current = chosen
    }
    return found.frontier
  }

  /// Seconds for each byte that `smaller` keeps less.
  private static func price(_ smaller: BlockMode, over larger: BlockMode) -> Double {
    (smaller.seconds - larger.seconds) / Double(max(larger.keptBytes - smaller.keptBytes, 1))
  }
}

extension [BlockMode] {
  /// The modes that no other beats in bytes and time, largest first.
  fileprivate var frontier: [BlockMode] {
    var result: [BlockMode] = []
    let order = sorted { left, right in
      (left.keptBytes, left.seconds, left.peakBytes, left.kept.count)
        < (right.keptBytes, right.seconds, right.peakBytes, right.kept.count)
    }
    for mode in order {
      if let last = result.last, mode.seconds >= last.seconds { continue }
      result.append(mode)
    }
    return result.reversed()
  }
}
