import ArgumentParser
import Foundation
import Graft

/// `graft diff`: how two checkpoints differ.
struct DiffVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff", abstract: "Compare two checkpoints value by value.",
    discussion: """
      Works across formats, shardings, dtypes and, where the configuration or --transposed says so, \
      orders of extents; quantized values are dequantized. Of two model directories \
      the other files are compared too. Exits with 1 when there is a difference beyond \
      --tolerance.
      """)

  @Argument(help: "The first checkpoint.")
  var a: String

  @Argument(help: "The second checkpoint.")
  var b: String

  @Option(name: .long, help: "The largest absolute difference of two values that passes.")
  var tolerance = 0.0

  @Flag(
    name: .long,
    help: "Compare matrices of reversed shapes as transposes, and square ones both ways.")
  var transposed = false

  @Flag(name: .long, help: "Print one JSON object.")
  var json = false

  @OptionGroup
  var common: CommonOptions

  func validate() throws {
    if !(tolerance >= 0 && tolerance.isFinite) {
      throw ValidationError("--tolerance is 0 or more")
    }
  }

  func run() throws {
    let (first, second) = (try OpenedCheckpoint(path: a), try OpenedCheckpoint(path: b))
    let display = ProgressDisplay(
      "comparing", total: first.byteCount, unit: .bytes, isQuiet: common.quiet)
    let result = try diff(
      first, second,
      options: DiffOptions(
        tolerance: tolerance, comparesTransposes: transposed, threadCount: common.workerCount),
      progress: display.progress)
    display.finish()
    if json { Standard.output(json: result.json) } else { Standard.output(text(of: result)) }
    if !result.isWithinTolerance { throw CheckFailed() }
  }

  /// The most rows of a list that are shown.
  private static let shownRows = 20

  private func text(of result: Comparison) -> String {
    let differing = result.tensors.filter { !$0.isEqual }
    var lines = Table(rows(of: differing), rightAligned: [2, 3, 4]).lines
    if result.tensors.contains(where: \.isReversed) {
      lines.append("reversed shapes: compare them as transposes with --transposed")
    }
    lines += list(result.onlyInFirst, "only in A")
    lines += list(result.onlyInSecond, "only in B")
    for file in result.files where file.finding != .equal {
      let finding =
        switch file.finding {
        case .equal: "equal"
        case .different: "differs"
        case .onlyInFirst: "only in A"
        case .onlyInSecond: "only in B"
        }
      lines.append("\(finding): \(file.name.escapedShortened)")
    }
    lines.append(summary(of: result, differing: differing.count))
    return lines.joined(separator: "\n")
  }

  private func summary(of result: Comparison, differing: Int) -> String {
    let beyond = result.tensors.count { !$0.passes(tolerance) }
    var text = Quantity.of(result.tensors.count - differing, "tensor") + " equal"
    if differing > 0 { text += ", \(Quantity.count(differing)) differ" }
    if differing > 0, tolerance > 0 { text += " (\(Quantity.count(beyond)) beyond the tolerance)" }
    if !result.files.isEmpty {
      text +=
        ", \(result.files.count { $0.finding == .equal }) of \(result.files.count) files equal"
    }
    return text
  }

  /// The tensors that differ, folded, those with the largest relative error first.
  private func rows(of entries: [Comparison.Entry]) -> [[String]] {
    let groups = TensorGroup.fold(entries.map(\.first)).map { group in
      (
        group: group,
        worst: group.members.map { entries[$0] }.max { $0.badness < $1.badness } ?? entries[0]
      )
    }.sorted { $0.worst.badness > $1.worst.badness }
    var rows = groups.prefix(Self.shownRows).map { group, worst in row(group, worst) }
    if !rows.isEmpty {
      rows.insert(["tensor", "dtypes", "max abs", "relative", "cosine", ""], at: 0)
    }
    if groups.count > Self.shownRows {
      rows.append(["and \(groups.count - Self.shownRows) more; see --json"])
    }
    return rows
  }

  private func row(_ group: TensorGroup, _ worst: Comparison.Entry) -> [String] {
    let (first, second) = (worst.first, worst.second)
    let dtypes =
      worst.dtypes.first == worst.dtypes.second
      ? "\(worst.dtypes.first)" : "\(worst.dtypes.first) → \(worst.dtypes.second)"
    let count =
      (group.members.count > 1 ? "×\(group.members.count)" : "")
      + (worst.isTransposed ? " transposed" : "")
    guard let values = worst.values else {
      let problem = first.shape == second.shape ? "other bytes" : "\(first.shape) → \(second.shape)"
      return [group.name, dtypes, problem, "", "", count]
    }
    let broken = values.incomparableCount
    return [
      group.name, dtypes, String(format: "%.3g", values.maximumError),
      String(format: "%.3g", values.relativeError), String(format: "%.6f", values.cosine),
      count + (broken > 0 ? " \(broken) NaN or infinite on one side" : ""),
    ]
  }

  private func list(_ tensors: [TensorInfo], _ title: String) -> [String] {
    let groups = TensorGroup.fold(tensors)
    return groups.prefix(Self.shownRows).map { group in
      let first = tensors[group.members[0]]
      let count = group.members.count > 1 ? "  ×\(group.members.count)" : ""
      return "\(title): \(group.name)  \(first.dtype) \(first.shape)\(count)"
    } + (groups.count > Self.shownRows ? ["\(title): \(groups.count - Self.shownRows) more"] : [])
  }
}

extension Comparison.Entry {
  /// How bad the difference is: by relative error, what can't be compared above all.
  fileprivate var badness: Double {
    guard let values, values.incomparableCount == 0 else { return .infinity }
    return values.relativeError
  }
}
