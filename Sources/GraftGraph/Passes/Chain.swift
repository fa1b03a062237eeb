internal import GraftCore
internal import GraftKernels

/// Consecutive steps over the same rows that run together, tile by tile of rows: what they hand on stays in cache.
package struct Chain: Sendable {
  /// The rows of every product in it; a tile program has a multiple of them.
  package let rows: Int
  /// Tile programs and products, in order.
  package let members: [Step]
  /// Where values that nobody outside reads lie in a worker's scratch, each with the rows of one tile.
  package let scratch: MemoryPlan
  /// The values that come from outside, each once.
  package let reads: [Value]
  /// The values that others read, each once.
  package let writes: [Value]

  /// Joins steps; `isPrivate` says which of the values that they make nobody else reads.
  init(rows: Int, members: [Step], in graph: Graph, isPrivate: (Value) -> Bool) {
    self.rows = rows
    self.members = members
    var made: [Value: MemoryPlan.Buffer] = [:]
    var reads: [Value] = []
    var writes: [Value] = []
    var known: Set<Value> = []
    for (index, member) in members.enumerated() {
      for value in member.reads(in: graph) {
        if made[value] != nil {
          made[value]?.lastStep = index
        } else if known.insert(value).inserted {
          reads.append(value)
        }
      }
      for value in member.writes(in: graph) {
        known.insert(value)
        if isPrivate(value) {
          let bytes = graph.type(of: value).byteCount / rows * RowChain.rowsPerTile
          made[value] = MemoryPlan.Buffer(
            value: value, byteCount: bytes, firstStep: index, lastStep: index)
        } else {
          writes.append(value)
        }
      }
    }
    self.reads = reads
    self.writes = writes
    scratch = MemoryPlan(
      made.values.sorted { ($0.firstStep, $0.value.node) < ($1.firstStep, $1.value.node) },
      stepCount: members.count)
  }

  /// The bytes that the tile programs move to and from memory: each value once, and none that is made inside.
  func bytesMoved(in graph: Graph) -> Int {
    let made = Set(members.flatMap { $0.writes(in: graph) })
    var seen: Set<Value> = []
    var bytes = 0
    for case .tiles(let group) in members {
      for (index, value) in group.operands.enumerated() {
        let isRead = index < group.readCount
        guard isRead ? !made.contains(value) : scratch.offsets[value] == nil,
          seen.insert(value).inserted
        else { continue }
        bytes += group.bytesMoved(byBinding: index)
      }
    }
    return bytes
  }
}
