import Graft

/// An inspection for people: facts, then the tensors as a tree or a list.
struct InspectionText {
  private let inspection: Inspection
  /// The columns to fill; lines of what isn't a terminal may be longer where a name is.
  private let columns: Int
  private let isTerminal: Bool

  /// Columns of a terminal, or nil where there is none.
  init(_ inspection: Inspection, columns: Int?) {
    self.inspection = inspection
    self.columns = columns ?? DisplayWidth.standard
    isTerminal = columns != nil
  }

  // MARK: - Facts

  /// Writes the facts, a line each or more.
  func writeFacts(to write: (String) -> Void) {
    for (name, lines) in facts {
      for (position, text) in lines.enumerated() {
        write(Self.row(position == 0 ? name : "", text))
      }
    }
    // There may be a million, so they are no list.
    for (position, entry) in inspection.metadata.enumerated() {
      write(Self.row(position == 0 ? "metadata" : "", line(entry)))
    }
  }

  private static func row(_ name: String, _ text: String) -> String {
    name + String(repeating: " ", count: indent - name.count) + text
  }

  /// All facts but the metadata.
  private var facts: [(name: String, lines: [String])] {
    var rows: [(name: String, lines: [String])] = [
      ("format", ["\(inspection.format.rawValue), \(inspection.kind.rawValue)"])
    ]
    func add(_ name: String, _ value: String?) {
      if let value, !value.isEmpty { rows.append((name, [value])) }
    }
    add("architecture", inspection.architecture?.escapedShortened)
    add("parameters", Quantity.count(inspection.parameterCount))
    rows.append(("size", size))
    add("quantized", inspection.quantization.map(words))
    if let adapter = inspection.adapter {
      rows.append(("adapter", words(for: adapter)))
      add("tool", adapter.tool?.escapedShortened)
      add("base", adapter.base?.escapedShortened)
    }
    for tensor in inspection.unreadable { add("not read", "\(tensor.name), \(tensor.kind)") }
    for tie in inspection.ties { add("tied", tie.map(\.description).joined(separator: " = ")) }
    let files = inspection.files.map { $0.name.escapedShortened }
    if !files.isEmpty { rows.append(("files", DisplayWidth.wrap(files, columns - Self.indent))) }
    return rows
  }

  /// Where the values begin.
  private static let indent = 14
  /// The columns of the longest bar.
  private static let barColumns = 40

  /// The size in all, and a bar for each dtype where there are several.
  private var size: [String] {
    let total = Quantity.bytes(inspection.byteCount)
    let dtypes = inspection.bytesByDType
    guard dtypes.count > 1 else {
      return [dtypes.isEmpty ? total : "\(total), all \(dtypes[0].dtype)"]
    }
    let width = max(8, min(Self.barColumns, columns - Self.indent - 32))
    let rows = dtypes.map { dtype, byteCount in
      let share = inspection.byteCount > 0 ? Double(byteCount) / Double(inspection.byteCount) : 0
      return [
        "\(dtype)", Self.bar(share, width), Quantity.bytes(byteCount), Self.percent(share),
      ]
    }
    return [total] + Table(rows, rightAligned: [2, 3]).lines
  }

  /// A bar in eighths of a column; what isn't nothing has at least one.
  private static func bar(_ share: Double, _ width: Int) -> String {
    let eighths = max(share > 0 ? 1 : 0, Int((share * Double(width) * 8).rounded()))
    let parts = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
    return String(repeating: "█", count: eighths / 8) + parts[eighths % 8]
  }

  /// A share in percent, with a decimal where it is small.
  private static func percent(_ share: Double) -> String {
    let thousandths = Int((share * 1000).rounded())
    if share > 0, thousandths == 0 { return "< 0.1 %" }
    return thousandths >= 100 || thousandths % 10 == 0
      ? "\((thousandths + 5) / 10) %" : "\(thousandths / 10).\(thousandths % 10) %"
  }

  private func words(for quantization: Inspection.Quantization) -> String {
    "\(quantization.bits) bits in groups of \(quantization.groupSize), "
      + "\(quantization.mode.escapedShortened): "
      + Quantity.of(quantization.moduleCount, "module")
  }

  private func words(for adapter: Inspection.AdapterFacts) -> [String] {
    let origin = inspection.layout.map { $0.name + " " } ?? ""
    var words = [origin + adapter.method.escapedShortened]
    if let rank = adapter.rank { words.append("rank \(rank)") }
    if let alpha = adapter.alpha { words.append("alpha \(Quantity.number(alpha))") }
    if let scaling = adapter.scaling { words.append("scaling \(Quantity.number(scaling))") }
    words.append(Quantity.of(adapter.modules.count, "module"))
    guard adapter.ranks.count > 1 else { return [words.joined(separator: ", ")] }
    let ranks = adapter.ranks.map { "\($0.rank) ×\($0.moduleCount)" }
    return [words.joined(separator: ", ")]
      + DisplayWidth.wrap(ranks, columns - Self.indent - 6).map { "ranks " + $0 }
  }

  /// A line of metadata; only what is shown of a long value is looked at.
  private func line(_ entry: MetadataEntry) -> String {
    let room = columns - Self.indent
    let key = DisplayWidth.fit(String(entry.key.prefix(room)).escapedShortened, room / 2)
    let value = String(entry.value.prefix(room)).escapedShortened
    let isCut = entry.value.utf8.count > value.utf8.count
    return DisplayWidth.fit(key + ": " + value + (isCut ? "…" : ""), room)
  }

  // MARK: - Tensors

  /// Every tensor with its place.
  var list: [String] {
    // Many tensors are of one kind, whose words are made once.
    var words: [Kind: [String]] = [:]
    return Table(
      inspection.tensors.map { place -> [String] in
        let info = place.info
        let kind = Kind(dtype: info.dtype, shape: info.shape)
        var known = words[kind] ?? []
        if known.isEmpty {
          known = ["\(info.dtype)", "\(info.shape)", Quantity.bytes(info.byteCount)]
          words[kind] = known
        }
        var file = place.file.escapedWhole
        if let offset = place.offset { file += ":" + String(offset) }
        return [info.name.description] + known + [file]
      }, rightAligned: [3]
    ).lines
  }

  /// What rows of the list have in common.
  private struct Kind: Hashable {
    let dtype: DType
    let shape: Shape
  }

  /// The most rows below one node.
  private static let mostRows = 48

  /// The tensors by the components of their names, repeated layers folded.
  var tree: [String] {
    let tree = TensorTree(inspection.tensors.infos)
    var rows: [[String]] = []
    for node in tree.roots.prefix(Self.mostRows) { append(node, first: "", rest: "", to: &rows) }
    rows += Self.omitted(Array(tree.roots.dropFirst(Self.mostRows)), "")
    // Names give way where the other columns need the room.
    let others = Table(rows.map { Array($0.dropFirst()) }).width + 2
    let room = isTerminal ? max(16, columns - others) : .max
    return Table(
      rows.map { [DisplayWidth.fit($0[0], room, keepsEnd: true)] + $0.dropFirst() },
      rightAligned: [3]
    ).lines
  }

  private func append(
    _ node: TensorTree.Node, first: String, rest: String, to rows: inout [[String]]
  ) {
    // A name that nothing goes on from is its tensors' row.
    if node.children.isEmpty {
      rows += node.leaves.enumerated().map { position, leaf in
        let sign = position == 0 ? first : rest.isEmpty ? "" : String(rest.dropLast(3)) + "│  "
        return Self.row(sign + node.label, leaf)
      }
      return
    }
    rows.append([first + node.label, "", "", Quantity.bytes(node.byteCount), ""])
    rows += node.leaves.map { Self.row(rest + "├─ (itself)", $0) }
    let shown = node.children.prefix(Self.mostRows)
    let isWhole = shown.count == node.children.count
    for (position, child) in shown.enumerated() {
      let isLast = isWhole && position == shown.count - 1
      append(
        child, first: rest + (isLast ? "└─ " : "├─ "), rest: rest + (isLast ? "   " : "│  "),
        to: &rows)
    }
    rows += Self.omitted(Array(node.children.dropFirst(Self.mostRows)), rest + "└─ ")
  }

  private static func row(_ name: String, _ leaf: TensorTree.Leaf) -> [String] {
    let count = leaf.members.count > 1 ? "×\(Quantity.count(leaf.members.count))" : ""
    let part = leaf.part.map { "in \($0)" } ?? ""
    return [
      name, "\(leaf.info.dtype)", "\(leaf.info.shape)", Quantity.bytes(leaf.byteCount),
      count.isEmpty || part.isEmpty ? count + part : count + " " + part,
    ]
  }

  private static func omitted(_ nodes: [TensorTree.Node], _ sign: String) -> [[String]] {
    guard !nodes.isEmpty else { return [] }
    let tensors = nodes.reduce(0) { $0 + $1.tensorCount }
    return [
      [
        sign + "and \(Quantity.count(nodes.count)) more names, see --tensors", "", "",
        Quantity.bytes(nodes.reduce(0) { $0 + $1.byteCount }),
        tensors > 1 ? "×\(Quantity.count(tensors))" : "",
      ]
    ]
  }
}
