/// How rows are shared among lanes: a function of their number alone.
///
/// A lane is a power of two of tiles, and there are at most 32 lanes. What is summed over rows is summed by each lane in
/// the order of its rows, then over the lanes in their order, so that the sum doesn't depend on the threads.
struct RowLanes: Sendable {
  let rows: Int
  let rowsPerLane: Int

  init(rows: Int) {
    self.rows = rows
    let tiles = (rows + RowChain.rowsPerTile - 1) / RowChain.rowsPerTile
    var tilesPerLane = 1
    while tilesPerLane * 2 <= tiles / 16 { tilesPerLane *= 2 }
    rowsPerLane = tilesPerLane * RowChain.rowsPerTile
  }

  var count: Int { (rows + rowsPerLane - 1) / rowsPerLane }

  /// The rows that tiles have.
  var tileExtents: [Int] { extents(of: rows, by: RowChain.rowsPerTile) }

  /// Calls `body` for the tiles of one lane, in order.
  func forEachTile(of lane: Int, _ body: (_ rows: Range<Int>, _ isFirst: Bool) -> Void) {
    let first = lane * rowsPerLane
    let last = min(rows, first + rowsPerLane)
    for row in stride(from: first, to: last, by: RowChain.rowsPerTile) {
      body(row..<min(last, row + RowChain.rowsPerTile), row == first)
    }
  }
}
