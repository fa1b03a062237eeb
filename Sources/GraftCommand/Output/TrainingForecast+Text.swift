import Foundation
import Graft

extension TrainingForecast {
  /// The forecast for people.
  var text: String {
    var lines = [
      "trained   \(Quantity.of(parameterCount, "parameter")): \(trainedByName)",
      "data      \(Quantity.of(windowCount, "window")), \(Quantity.of(stepCount, "step")) of "
        + Quantity.of(tokensPerStep, "token"),
      "fusion    \(Quantity.of(report.groupCount, "group")) and "
        + "\(Quantity.of(report.kernelCount, "kernel")), "
        + "\(Quantity.of(report.chainCount, "chain")) of both",
    ]
    if let group = summary.largestGroup {
      let names = group.operations.map { $0.count == 1 ? $0.name : "\($0.name) ×\($0.count)" }
      lines.append(
        "          the largest: \(Quantity.of(group.operationCount, "operation")) over "
          + "\(group.rows) × \(group.columns): \(names.joined(separator: ", "))")
    }
    lines.append("          \(Quantity.bytes(report.bytesMoved)) moved outside products")
    lines.append("arena     \(Quantity.bytes(arenaBytes))")
    lines += summary.stages.map { "          \(Quantity.bytes($0.byteCount)) in \($0.name)" }
    lines.append("          where it is fullest:")
    lines += summary.buffers.map {
      "          \(Quantity.bytes($0.byteCount)) in \($0.count) × \($0.type), \($0.operation)"
    }
    lines.append("recompute " + blockLines.joined(separator: "\n          "))
    lines.append(
      "memory    \(Quantity.bytes(memory.peakBytes)) beside "
        + "\(Quantity.bytes(mappedBytes)) of mapped weights:")
    lines.append(
      "          process \(Quantity.bytes(memory.baselineBytes)), arenas "
        + "\(Quantity.bytes(memory.arenaBytes)), gradients and optimizer "
        + "\(Quantity.bytes(memory.stateBytes)), threads \(Quantity.bytes(memory.scratchBytes))")
    lines.append(
      String(
        format: "time      about %.2f s a step, %.0f tokens/s", secondsPerStep,
        Double(tokensPerStep) / secondsPerStep))
    return lines.joined(separator: "\n")
  }

  /// How often each kind of module has an adapter, or is trained whole, by its name.
  private var trainedByName: String {
    func counts(_ names: [String], dropping count: Int) -> String {
      let kinds = Dictionary(grouping: names) { name in
        name.split(separator: ".").dropLast(count).last.map(String.init) ?? name
      }
      return kinds.sorted { $0.key < $1.key }.map { "\($0.value.count) × \($0.key)" }
        .joined(separator: ", ")
    }
    let dropped = dropout > 0 ? ", dropout \(dropout)" : ""
    let adapted = modules.isEmpty ? [] : ["adapters of " + counts(modules, dropping: 0) + dropped]
    let whole = wholeTensors.isEmpty ? [] : ["whole " + counts(wholeTensors, dropping: 1)]
    return (adapted + whole).joined(separator: "; ")
  }

  /// Neighbouring blocks that are treated alike, a line each.
  private var blockLines: [String] {
    var lines: [String] = []
    var first = 0
    for index in summary.blocks.indices {
      let block = summary.blocks[index]
      if index + 1 < summary.blocks.count, summary.blocks[index + 1] == block { continue }
      let range = first == index ? "block \(index)" : "blocks \(first) to \(index)"
      let kept = Quantity.bytes(block.keptByteCount)
      lines.append(
        "\(range): \(block.keepsInput ? "input and \(kept) kept" : "\(kept) kept, input made again"), "
          + "\(Quantity.of(block.kernelsAgain, "kernel")) run again")
      first = index + 1
    }
    return lines.isEmpty ? ["nothing: the model has no blocks"] : lines
  }
}
