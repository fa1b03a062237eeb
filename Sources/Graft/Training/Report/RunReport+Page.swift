internal import Foundation
internal import GraftTraining

extension RunReport {
  /// The most rows of the table; of longer runs it shows steps at equal distances.
  private static let maximumRows = 500

  /// The page.
  var page: Markup {
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
        .element(
          "body", [:],
          [
            .element("h1", [:], title), summary,
            .element(
              "main", [:],
              charts.map(\.markup) + sections.prefix(1).map(Self.block)),
            .element(
              "div", ["class": "facts"], sections.dropFirst().map(Self.block) + [.text(" ")]),
            steps,
          ]),
      ])
  }

  // MARK: - Figures

  private var summary: Markup {
    var figures: [(String, String)] = []
    if let last = records.last {
      figures.append(("steps", Quantity.count(last.step)))
      figures.append(("last loss", String(format: "%.4f", last.loss)))
    }
    if let best = records.compactMap(\.validationLoss).min() {
      figures.append(("best validation loss", String(format: "%.4f", best)))
    }
    if let last = records.last {
      let rates = records.map(\.tokensPerSecond).sorted()
      figures.append(("tokens", Quantity.count(last.tokenCount)))
      figures.append(("time in steps", Self.clock(secondsInSteps)))
      figures.append(
        ("median tokens per second", Quantity.count(Int(rates[rates.count / 2].rounded()))))
      figures.append(("peak memory", Quantity.bytes(records.map(\.peakBytes).max() ?? 0)))
    }
    return .element(
      "dl", ["class": "figures"],
      figures.map {
        .element("div", [:], [.element("dt", [:], $0.0), .element("dd", [:], $0.1)])
      } + [.text(" ")])
  }

  /// The time that the steps took, without validation and saving.
  private var secondsInSteps: Double {
    var before = 0
    return records.reduce(0) { sum, record in
      defer { before = record.tokenCount }
      guard record.tokensPerSecond > 0 else { return sum }
      return sum + Double(record.tokenCount - before) / record.tokensPerSecond
    }
  }

  private static func clock(_ seconds: Double) -> String {
    guard seconds < 1e9 else { return "unknown" }
    let whole = Int(seconds.rounded())
    return String(format: "%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60)
  }

  private var charts: [Chart] {
    func points(_ value: (StepRecord) -> Double) -> [(step: Int, value: Double)] {
      records.map { ($0.step, value($0)) }
    }
    let validation = records.compactMap { record in
      record.validationLoss.map { (step: record.step, value: $0) }
    }
    var losses = [Chart.Series(name: "training", points: points(\.loss))]
    if let trend = losses[0].trend() {
      losses[0].style = .faint
      losses.append(trend)
    }
    if !validation.isEmpty {
      losses.append(
        Chart.Series(name: "validation", points: validation, color: 1, style: .marks))
    }
    return [
      Chart(title: "Loss", unit: "nats per token", series: losses),
      Chart(
        title: "Learning rate", unit: "rate",
        series: [.init(name: "learning rate", points: points(\.learningRate))],
        beginsAtZero: true),
      Chart(
        title: "Gradient norm", unit: "norm before clipping",
        series: [.init(name: "gradient norm", points: points(\.gradientNorm))],
        beginsAtZero: true),
      Chart(
        title: "Throughput", unit: "tokens per second",
        series: [.init(name: "throughput", points: points(\.tokensPerSecond))],
        beginsAtZero: true),
      Chart(
        title: "Peak resident memory", unit: "MiB",
        series: [
          .init(name: "memory", points: points { Double($0.peakBytes) / 1_048_576 })
        ], beginsAtZero: true),
    ]
  }

  // MARK: - Tables

  private static func block(_ section: Section) -> Markup {
    .element(
      "section", [:],
      [
        .element("h2", [:], section.title),
        .element(
          "table", [:],
          section.facts.map {
            .element(
              "tr", [:],
              [.element("th", ["scope": "row"], $0.name), .element("td", [:], $0.value)])
          }),
      ])
  }

  private var steps: Markup {
    let distance = max(1, (records.count + Self.maximumRows - 1) / Self.maximumRows)
    let shown = records.enumerated().filter {
      $0.offset % distance == 0 || $0.offset == records.count - 1
        || $0.element.validationLoss != nil
    }.map(\.element)
    let heads = [
      "step", "loss", "validation loss", "learning rate", "gradient norm", "tokens per second",
      "tokens", "peak bytes",
    ]
    let title = distance == 1 ? "All steps" : "Every \(distance)th step"
    return .element(
      "details", [:],
      [
        .element("summary", [:], title),
        .element(
          "table", ["class": "steps"],
          [
            .element(
              "thead", [:],
              [.element("tr", [:], heads.map { .element("th", ["scope": "col"], $0) })]),
            .element("tbody", [:], shown.map(Self.row)),
          ]),
      ])
  }

  private static func row(_ record: StepRecord) -> Markup {
    let cells = [
      "\(record.step)", "\(record.loss)", record.validationLoss.map { "\($0)" } ?? "",
      "\(record.learningRate)", "\(record.gradientNorm)",
      String(format: "%.1f", record.tokensPerSecond), "\(record.tokenCount)",
      "\(record.peakBytes)",
    ]
    return .element("tr", [:], cells.map { .element("td", [:], $0) })
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
    """)
}
