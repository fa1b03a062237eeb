internal import GraftCore

/// A page to look at as one HTML file that needs nothing else: title, style sheet and body.
struct ReportPage {
  let title: String
  let body: [Markup]

  /// The HTML.
  var html: [UInt8] { Array(("<!DOCTYPE html>\n" + markup.source + "\n").utf8) }

  /// Writes the HTML, which replaces no file but a page; it appears whole or not at all.
  ///
  /// - Throws: ``StorageError`` when something else stands there, or the system can't write.
  func write(to path: String) throws(StorageError) {
    try Self.checkTarget(path)
    try AtomicFile.write(html, to: path)
  }

  /// Checks that a page can be written to a path.
  ///
  /// - Throws: ``StorageError``.
  static func checkTarget(_ path: String) throws(StorageError) {
    try OutputTarget(path, overwrites: false).checkReport { (file) throws(StorageError) in
      let start = try file.bytes(at: 0, count: min(file.byteCount, 64))
      let text = String(decoding: start, as: UTF8.self).lowercased()
      return ["<!doctype html", "<html"].contains { text.hasPrefix($0) }
    }
  }

  private var markup: Markup {
    .element(
      "html", ["lang": "en"],
      [
        .element(
          "head", [:],
          [
            .element("meta", ["charset": "utf-8"]),
            .element(
              "meta", ["name": "viewport", "content": "width=device-width, initial-scale=1"]),
            .element("meta", ["name": "color-scheme", "content": "light dark"]),
            .element("title", [:], title), .element("style", [:], [Self.style]),
          ]),
        .element("body", [:], [.element("h1", [:], title)] + body),
      ])
  }

  // MARK: - Parts

  /// The figures that stand out, each under its name.
  static func figures(_ figures: [(String, String)]) -> Markup {
    .element(
      "dl", ["class": "figures"],
      figures.map {
        .element("div", [:], [.element("dt", [:], $0.0), .element("dd", [:], $0.1)])
      } + [.text(" ")])
  }

  /// A table of names and values under a title.
  static func facts(_ title: String, _ facts: [(String, Markup)]) -> Markup {
    .element(
      "section", [:],
      [
        .element("h2", [:], title),
        .element(
          "table", [:],
          facts.map {
            .element(
              "tr", [:],
              [.element("th", ["scope": "row"], $0.0), .element("td", [:], [$0.1])])
          }),
      ])
  }

  private static let style = Markup.literal(
    """
    :root { --ground: #fff; --ink: #1b1f24; --soft: #59636e; --rule: #e3e7eb; --a: #0b57d0; --b: #b3480a; }
    @media (prefers-color-scheme: dark) {
      :root { --ground: #14171a; --ink: #e6e9ec; --soft: #9aa4ae; --rule: #2c3238; --a: #7db2ff; --b: #ffab70; }
    }
    body { background: var(--ground); color: var(--ink); font: 16px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 86rem; padding: 0 1rem; }
    h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
    main { display: grid; gap: 2rem 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
    figure { margin: 0; }
    figcaption, h2 { font-size: 1rem; font-weight: 600; margin: 0 0 0.25rem; }
    svg { display: block; height: auto; width: 100%; }
    svg text { fill: var(--soft); font-size: 12px; }
    .axis { stroke: var(--soft); }
    .grid { stroke: var(--rule); }
    .line { fill: none; stroke-linejoin: round; stroke-width: 1.75; }
    .faint { stroke-opacity: 0.4; stroke-width: 1; }
    path.series0 { stroke: var(--a); }
    path.series1 { stroke: var(--b); }
    path.band { fill-opacity: 0.2; stroke: none; }
    path.band.series0, circle.series0 { fill: var(--a); }
    path.band.series1, circle.series1 { fill: var(--b); }
    .legend { color: var(--soft); font-size: 0.875rem; margin: 0.25rem 0 0; }
    .key { margin-right: 1rem; }
    .key i { display: inline-block; margin-right: 0.4rem; vertical-align: middle; width: 1rem; height: 3px; }
    .key i.faint { height: 1px; opacity: 0.6; }
    .key i.marks { border-radius: 50%; height: 0.5rem; width: 0.5rem; }
    .series0 i { background: var(--a); }
    .series1 i { background: var(--b); }
    .figures { border-bottom: 1px solid var(--rule); display: flex; flex-wrap: wrap; gap: 0.5rem 2rem; margin: 0 0 1.5rem; padding-bottom: 1rem; }
    .figures dt { color: var(--soft); font-size: 0.875rem; }
    .figures dd { font-size: 1.25rem; margin: 0; }
    .facts { columns: 28rem; column-gap: 1.5rem; margin: 2rem 0; }
    .facts section { break-inside: avoid; padding-bottom: 1.5rem; }
    table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
    section table { width: 100%; }
    th, td { border-bottom: 1px solid var(--rule); font-weight: normal; padding: 0.2rem 0.75rem 0.2rem 0; text-align: left; vertical-align: top; }
    th { color: var(--soft); }
    section th { width: 13rem; }
    td { overflow-wrap: anywhere; }
    .steps th, .steps td { text-align: right; }
    details { overflow-x: auto; }
    summary { cursor: pointer; }
    .dtypes th, .dtypes td { border: 0; overflow-wrap: normal; padding: 0.15rem 0.75rem 0.15rem 0; vertical-align: middle; white-space: nowrap; width: auto; }
    .dtypes td:nth-child(n + 3) { text-align: right; }
    .dtypes td:nth-child(2) { width: 60%; }
    .dtypes svg { height: 0.9rem; }
    .dtypes rect { fill: var(--a); }
    .tree, .tree ul { list-style: none; margin: 0; padding: 0; }
    .scroll > .tree { padding-left: 0.5rem; }
    .tree ul { border-left: 1px solid var(--rule); margin-left: 0.4rem; padding-left: 1rem; }
    .tree details { overflow: visible; }
    .row { align-items: center; column-gap: 1rem; display: grid; font-variant-numeric: tabular-nums; grid-template-columns: minmax(8rem, 1fr) 4.5rem 11rem 6rem 5rem; padding: 0.1rem 0; }
    .drawn .row { grid-template-columns: minmax(8rem, 1fr) 4.5rem 11rem 6rem 5rem 8rem 19rem; }
    .row > * { overflow-wrap: anywhere; }
    .member > :first-child { grid-column: span 2; }
    .member > :nth-child(2) { display: none; }
    .row > :nth-child(4), .row > :nth-child(5) { text-align: right; }
    .row > :nth-child(n + 2) { color: var(--soft); font-size: 0.875rem; }
    .row:hover { background: color-mix(in srgb, var(--rule) 50%, transparent); }
    .tree summary { list-style-position: outside; margin-left: 1rem; }
    .tree summary .row { margin-left: -1rem; padding-left: 1rem; }
    .node > .row > :first-child, .node > summary > .row > :first-child { font-weight: 600; }
    .tree svg { background: color-mix(in srgb, var(--rule) 40%, transparent); height: 1.6rem; width: 8rem; }
    .tree svg path { fill: var(--a); }
    .value { max-height: 20rem; overflow: auto; white-space: pre-wrap; }
    .scroll { overflow-x: auto; }
    """)
}
