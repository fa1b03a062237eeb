public import GraftCore

/// What stands at a path, as one HTML file that needs nothing else: facts, bytes by dtype, the tensors as a tree that folds,
/// metadata, and on request the values.
public struct InspectionPage: Sendable {
  private let inspection: Inspection
  private let tree: TensorTree
  private let values: Values?

  /// Summaries of values by position.
  private struct Values: Sendable {
    let tensors: [ValueSummary?]
    let groups: [Int: ValueSummary]
  }

  /// The most parts of a node that are shown open.
  private static let fewParts = 12
  /// Tensors of a group that are listed one by one; above it only the group is shown.
  private static let mostMembers = 20_000

  /// Puts a page together.
  ///
  /// - Parameters:
  ///   - drawsValues: whether every value is read, for a histogram of each tensor.
  ///   - progress: told of bytes read.
  /// - Throws: ``StorageError`` and ``AdapterError`` when something can't be read, or changes meanwhile.
  public init(
    of checkpoint: OpenedCheckpoint, drawsValues: Bool = false, threadCount: Int = 2,
    progress: Progress = .none
  ) throws {
    inspection = try inspect(checkpoint)
    let tree = TensorTree(inspection.tensors.infos)
    self.tree = tree
    guard drawsValues else {
      values = nil
      return
    }
    let groups = tree.roots.flatMap(\.groups)
    let summaries = try ValueSummaries(
      of: checkpoint.reader, groups: groups, threadCount: threadCount, progress: progress)
    for input in checkpoint.reader.inputs { try input.checkUnchanged() }
    var found: [Int: ValueSummary] = [:]
    for (group, summary) in zip(groups, summaries.groups) { found[group[0]] = summary }
    values = Values(tensors: summaries.tensors, groups: found)
  }

  /// The HTML.
  public var html: [UInt8] { page.html }

  /// Writes the HTML, which replaces no file but a page; it appears whole or not at all.
  ///
  /// - Throws: ``StorageError`` when something else stands there, or the system can't write.
  public func write(to path: String) throws(StorageError) { try page.write(to: path) }

  /// Checks that a page can be written to a path.
  ///
  /// - Throws: ``StorageError``.
  public static func checkTarget(_ path: String) throws(StorageError) {
    try ReportPage.checkTarget(path)
  }

  private var page: ReportPage {
    let name = inspection.path.split(separator: "/").last.map(String.init) ?? inspection.path
    var sections = [dtypes, facts]
    if !inspection.metadata.isEmpty { sections.append(metadata) }
    if !inspection.files.isEmpty { sections.append(files) }
    return ReportPage(
      title: name.escapedShortened,
      body: [
        figures, .element("div", ["class": "facts"], sections),
        .element("h2", [:], "Tensors"),
        .element(
          "div", ["class": "scroll"],
          [
            .element(
              "ul", ["class": values == nil ? "tree" : "tree drawn"],
              tree.roots.map { node($0, isOpen: true) } + [.text(" ")])
          ]),
      ])
  }

  // MARK: - Facts

  private var figures: Markup {
    ReportPage.figures([
      ("kind", inspection.kind.rawValue), ("format", inspection.format.rawValue),
      ("parameters", Quantity.count(inspection.parameterCount)),
      ("tensors", Quantity.count(inspection.tensors.count)),
      ("size", Quantity.bytes(inspection.byteCount)),
    ])
  }

  private var facts: Markup {
    var facts: [(String, String?)] = [
      ("path", inspection.path.escapedShortened),
      ("architecture", inspection.architecture?.escapedShortened),
      ("layout", inspection.layout?.rawValue),
      (
        "packed",
        inspection.quantization.map {
          "\($0.bits) bits in groups of \($0.groupSize), \($0.mode.escapedShortened), "
            + Quantity.of($0.moduleCount, "module")
        }
      ),
    ]
    if let adapter = inspection.adapter {
      facts += [
        ("method", adapter.method.escapedShortened),
        ("tool", adapter.tool?.escapedShortened),
        ("rank", adapter.rank.map { "\($0)" }),
        ("alpha", adapter.alpha.map(Quantity.number)),
        ("scaling", adapter.scaling.map(Quantity.number)),
        ("modules", Quantity.count(adapter.modules.count)),
        ("base", adapter.base?.escapedShortened),
      ]
    }
    facts += inspection.ties.map { ("tied", $0.map(\.description).joined(separator: " = ")) }
    return ReportPage.facts(
      "Facts",
      facts.compactMap { name, value in
        value.flatMap { $0.isEmpty ? nil : (name, .text($0)) }
      })
  }

  private var dtypes: Markup {
    let total = Double(max(inspection.byteCount, 1))
    return .element(
      "section", [:],
      [
        .element("h2", [:], "Bytes by dtype"),
        .element(
          "table", ["class": "dtypes"],
          inspection.bytesByDType.map { dtype, byteCount in
            let share = Double(byteCount) / total
            return .element(
              "tr", [:],
              [
                .element("th", ["scope": "row"], "\(dtype)"),
                .element("td", [:], [Self.bar(share)]),
                .element("td", [:], Quantity.bytes(byteCount)),
                .element("td", [:], "\(Int((share * 100).rounded())) %"),
              ])
          } + [.text(" ")]),
      ])
  }

  private static func bar(_ share: Double) -> Markup {
    .element(
      "svg", ["viewBox": "0 0 100 4", "preserveAspectRatio": "none", "aria-hidden": "true"],
      [.element("rect", ["width": "\((share * 1000).rounded() / 10)", "height": "4"])])
  }

  private var metadata: Markup {
    ReportPage.facts(
      "Metadata",
      inspection.metadata.map { entry in
        let text = Markup.text(entry.value.escapedKeepingLines)
        guard entry.value.utf8.count > 200 else { return (entry.key.escapedShortened, text) }
        let start = String(entry.value.prefix(80)).escapedShortened + "…"
        return (
          entry.key.escapedShortened,
          .element(
            "details", [:],
            [.element("summary", [:], start), .element("div", ["class": "value"], [text])])
        )
      })
  }

  private var files: Markup {
    ReportPage.facts(
      "Files",
      inspection.files.map { ($0.name.escapedShortened, .text(Quantity.bytes($0.byteCount))) })
  }

  // MARK: - Tensors

  private func node(_ node: TensorTree.Node, isOpen: Bool) -> Markup {
    guard !node.children.isEmpty else {
      return Markup.joined(node.leaves.map { leaf($0, node.label) })
    }
    let cells = row(
      node.label, ["", "", Quantity.bytes(node.byteCount), "×\(Quantity.count(node.tensorCount))"])
    // A few parts are seen at once; of many each is opened when it is wanted.
    let inside =
      node.leaves.map { leaf($0, "(itself)") }
      + node.children.map { self.node($0, isOpen: node.children.count <= Self.fewParts) }
    let summary = Markup.element("summary", [:], [cells])
    let list = Markup.element("ul", [:], inside)
    return .element(
      "li", ["class": "node"],
      [
        isOpen
          ? .element("details", ["open": "open"], [summary, list])
          : .element("details", [:], [summary, list])
      ])
  }

  private func leaf(_ leaf: TensorTree.Leaf, _ label: String) -> Markup {
    let count = leaf.members.count
    let name = label + (leaf.part.map { "  in \($0)" } ?? "")
    let cells = [
      "\(leaf.info.dtype)", "\(leaf.info.shape)", Quantity.bytes(leaf.byteCount),
      count > 1 ? "×\(Quantity.count(count))" : "",
    ]
    let whole = row(name, cells, values?.groups[leaf.members[0]])
    guard count > 1, inspection.tensors.count <= Self.mostMembers else {
      return .element("li", [:], [whole])
    }
    let members = leaf.members.map { position in
      let place = inspection.tensors[position]
      return Markup.element(
        "li", [:],
        [
          row(
            place.info.name.description,
            [
              "", place.offset.map { "byte \($0)" } ?? "", Quantity.bytes(place.info.byteCount), "",
            ],
            values?.tensors[position] ?? nil, style: "row member")
        ])
    }
    return .element(
      "li", [:],
      [
        .element(
          "details", [:],
          [.element("summary", [:], [whole]), .element("ul", [:], members)])
      ])
  }

  private func row(
    _ name: String, _ cells: [String], _ summary: ValueSummary? = nil, style: String = "row"
  ) -> Markup {
    var parts = [Markup.element("span", [:], name)]
    parts += cells.map { .element("span", [:], $0) }
    if values != nil {
      parts.append(.element("span", [:], [summary?.drawing ?? .text(" ")]))
      parts.append(.element("span", [:], summary?.text ?? ""))
    }
    return .element("div", ["class": style], parts)
  }
}

extension TensorTree.Node {
  /// The positions of the tensors of each leaf here and below.
  fileprivate var groups: [[Int]] { leaves.map(\.members) + children.flatMap(\.groups) }
}

extension String {
  /// The string safe to show, with its lines.
  fileprivate var escapedKeepingLines: String {
    split(separator: "\n", omittingEmptySubsequences: false).map { String($0).escapedShortened }
      .joined(separator: "\n")
  }
}
