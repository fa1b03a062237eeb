internal import Foundation
internal import GraftCore
internal import Synchronization

/// The values of a tensor, or of several together, in a few numbers and a drawing.
struct ValueSummary: Sendable {
  let count: Int
  let zeroCount: Int
  let nanCount: Int
  let infinityCount: Int
  let minimum: Double
  let maximum: Double
  let mean: Double
  let deviation: Double
  let histogram: Histogram

  /// The columns of the drawing.
  private static let columns = 48

  init(_ counts: ValueCounts) {
    count = counts.count
    zeroCount = counts.zeroCount
    nanCount = counts.nanCount
    infinityCount = counts.infinityCount
    minimum = counts.minimum
    maximum = counts.maximum
    mean = counts.mean
    deviation = counts.deviation
    histogram = counts.histogram(columns: Self.columns)
  }

  /// The numbers in words.
  var text: String {
    var words: [String] = []
    if minimum <= maximum {
      words.append("\(Self.number(minimum)) to \(Self.number(maximum))")
      words.append("mean \(Self.number(mean))")
      words.append("σ \(Self.number(deviation))")
    }
    if zeroCount > 0 { words.append("\(Quantity.count(zeroCount)) zero") }
    if nanCount > 0 { words.append("\(Quantity.count(nanCount)) NaN") }
    if infinityCount > 0 { words.append("\(Quantity.count(infinityCount)) infinite") }
    return words.isEmpty ? "no values" : words.joined(separator: ", ")
  }

  private static func number(_ value: Double) -> String { String(format: "%.3g", value) }

  /// The histogram as inline SVG; its title has the numbers.
  var drawing: Markup {
    let shares = histogram.shares
    let highest = shares.max() ?? 0
    guard highest > 0 else { return .element("span", [:], "") }
    let width = 96.0 / Double(shares.count)
    var path = "M0 24"
    for (column, share) in shares.enumerated() {
      let height = 24 - share / highest * 23
      path += String(format: "V%.1fH%.1f", height, Double(column + 1) * width)
    }
    let range =
      "\(Self.number(histogram.range.lowerBound)) to \(Self.number(histogram.range.upperBound))"
    return .element(
      "svg",
      [
        "viewBox": "0 0 96 24", "preserveAspectRatio": "none", "role": "img",
        "aria-label": "histogram of values from \(range)",
      ],
      [
        .element("title", [:], "\(text); drawn from \(range)"),
        .element("path", ["d": path + "V24Z"]),
      ])
  }
}

/// Counts the values of tensors, group by group, with one set of counters a thread and one a group at work.
struct ValueSummaries {
  /// The summary of each tensor; nil for those whose elements stand for no numbers.
  private(set) var tensors: [ValueSummary?]
  /// The summary of each group.
  private(set) var groups: [ValueSummary?]

  private struct State {
    var tensors: [ValueSummary?]
    var groups: [ValueSummary?]
    var open: [Int: (counts: ValueCounts, left: Int)] = [:]
  }

  /// Reads all tensors by tiles.
  init(
    of reader: any CheckpointReader, groups members: [[Int]], threadCount: Int,
    progress: GraftCore.Progress
  ) throws {
    let state = Mutex(
      State(
        tensors: Array(repeating: nil, count: reader.tensors.count),
        groups: Array(repeating: nil, count: members.count)))
    let items = members.enumerated().flatMap { group, list in list.map { (group, $0) } }
    try shareOut(
      items.count, threadCount: threadCount,
      worker: { (tiles: try TileReader(), counts: ValueCounts()) }
    ) { item, worker in
      let (group, tensor) = items[item]
      let info = reader.tensors[tensor]
      if info.dtype.hasValues {
        worker.counts.reset()
        for tile in TensorTile.all(of: info, at: tensor) {
          let values = try worker.tiles.values(of: tile, reader)
          worker.counts.add(values.bytes)
          progress.advance(tile.bytes(in: info.dtype).count)
        }
      }
      let summary = info.dtype.hasValues ? ValueSummary(worker.counts) : nil
      let isAlone = members[group].count == 1
      state.withLock { state in
        state.tensors[tensor] = summary
        guard !isAlone else {
          state.groups[group] = summary
          return
        }
        guard summary != nil else { return }
        var open = state.open.removeValue(forKey: group) ?? (ValueCounts(), members[group].count)
        open.counts.add(worker.counts)
        open.left -= 1
        if open.left == 0 {
          state.groups[group] = ValueSummary(open.counts)
        } else {
          state.open[group] = open
        }
      }
    }
    (tensors, groups) = state.withLock { ($0.tensors, $0.groups) }
  }
}
