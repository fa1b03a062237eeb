import ArgumentParser
import Graft

/// `graft inspect`: what stands at a path.
struct InspectVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Tell what a file or directory holds.",
    discussion: """
      Reads headers and small files only. Formats are told by content: safetensors, sharded \
      checkpoints, GGUF, HDF5 and word vectors; models, adapters and embedding tables.
      """)

  @Argument(help: "A model or adapter directory, a shard index, or one file.")
  var path: String

  @Flag(name: .long, help: "List every tensor instead of folding repeated layers.")
  var tensors = false

  @Flag(name: .long, help: "Print one JSON object.")
  var json = false

  @OptionGroup
  var common: CommonOptions

  func run() throws {
    let inspection = try inspect(OpenedCheckpoint(path: path, threadCount: common.threads))
    Standard.output(json ? inspection.json.serialized() : text(of: inspection))
  }

  private func text(of inspection: Inspection) -> String {
    let table = Table(tensorRows(of: inspection), rightAligned: [3])
    return (facts(of: inspection) + [""] + table.lines).joined(separator: "\n")
  }

  private func facts(of inspection: Inspection) -> [String] {
    var rows = [
      ["format", "\(inspection.format.rawValue), \(inspection.kind.rawValue)"],
      ["architecture", inspection.architecture?.escapedForTerminal ?? "unknown"],
      ["parameters", Quantity.count(inspection.parameterCount)],
      [
        "size",
        Quantity.bytes(inspection.byteCount) + " in "
          + inspection.bytesByDType.map { "\($0.dtype) \(Quantity.bytes($0.byteCount))" }
          .joined(separator: ", "),
      ],
    ]
    if inspection.architecture == nil { rows.remove(at: 1) }
    if let adapter = inspection.adapter {
      rows.append([
        "adapter",
        "rank \(adapter.rank), alpha \(Quantity.number(adapter.alpha)), scaling \(Quantity.number(adapter.scaling)), "
          + Quantity.of(adapter.modules.count, "module"),
      ])
      if let base = adapter.base, !base.isEmpty { rows.append(["base", base.escapedForTerminal]) }
    }
    rows += inspection.ties.map { ["tied", $0.map(\.description).joined(separator: " = ")] }
    if !inspection.files.isEmpty {
      rows.append([
        "files", inspection.files.map { $0.name.escapedForTerminal }.joined(separator: ", "),
      ])
    }
    rows += inspection.metadata.enumerated().map { position, entry in
      [
        position == 0 ? "metadata" : "",
        "\(entry.key.escapedForTerminal): \(shortened(entry.value.escapedForTerminal))",
      ]
    }
    return Table(rows).lines
  }

  private func tensorRows(of inspection: Inspection) -> [[String]] {
    if tensors {
      return inspection.tensors.map { place in
        [
          place.info.name.description, "\(place.info.dtype)", "\(place.info.shape)",
          Quantity.bytes(place.info.byteCount),
          "\(place.file.escapedForTerminal)\(place.offset.map { ":\($0)" } ?? "")",
        ]
      }
    }
    let infos = inspection.tensors.map(\.info)
    return TensorGroup.fold(infos).map { group in
      let first = infos[group.members[0]]
      return [
        group.name, "\(first.dtype)", "\(first.shape)",
        Quantity.bytes(group.members.reduce(0) { $0 + infos[$1].byteCount }),
        group.members.count > 1 ? "×\(group.members.count)" : "",
      ]
    }
  }

  private func shortened(_ text: String) -> String {
    text.count > 80 ? String(text.prefix(79)) + "…" : text
  }
}
