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
            .element("main", [:], charts.map(\.markup)),
            .element(
              "div", ["class": "facts"],
              [Self.table("Model", model), Self.table("Settings", settings)].compactMap { $0 }
                + [.text(" ")]), steps,
          ]),
      ])
  }

  // MARK: - Figures

  private var summary: Markup {
    var figures: [(String, String)] = []
    if let last = records.last {
      figures.append(("steps", "\(last.step)"))
      figures.append(("last loss", String(format: "%.4f", last.loss)))
    }
    if let best = records.compactMap(\.validationLoss).min() {
      figures.append(("best validation loss", String(format: "%.4f", best)))
    }
    if let last = records.last {
      let rates = records.map(\.tokensPerSecond).sorted()
      figures.append(("tokens", "\(last.tokenCount)"))
      figures.append(("median tokens per second", String(format: "%.0f", rates[rates.count / 2])))
      let peak = records.map(\.peakBytes).max() ?? 0
      figures.append(("peak memory", String(format: "%.0f MiB", Double(peak) / 1_048_576)))
    }
    return .element(
      "dl", ["class": "figures"],
      figures.map {
        .element("div", [:], [.element("dt", [:], $0.0), .element("dd", [:], $0.1)])
      } + [.text(" ")])
  }

  private var charts: [Chart] {
    func points(_ value: (StepRecord) -> Double) -> [(step: Int, value: Double)] {
      records.map { ($0.step, value($0)) }
    }
    let validation = records.compactMap { record in
      record.validationLoss.map { (step: record.step, value: $0) }
    }
    var losses = [Chart.Series(name: "training", points: points(\.loss))]
    if !validation.isEmpty {
      losses.append(Chart.Series(name: "validation", points: validation, isMarked: true))
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

  private static func table(_ caption: String, _ facts: [Fact]) -> Markup? {
    guard !facts.isEmpty else { return nil }
    return .element(
      "table", [:],
      [.element("caption", [:], caption)]
        + facts.map {
          .element(
            "tr", [:],
            [
              .element("th", ["scope": "row"], $0.name), .element("td", [:], $0.value),
            ])
        })
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
    :root { --ground: #fff; --ink: #1b1f24; --soft: #59636e; --rule: #d5dae0; --a: #0b57d0; --b: #b3480a; }
    @media (prefers-color-scheme: dark) {
      :root { --ground: #14171a; --ink: #e6e9ec; --soft: #9aa4ae; --rule: #353b42; --a: #7db2ff; --b: #ffab70; }
    }
    body { background: var(--ground); color: var(--ink); font: 16px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 86rem; padding: 0 1rem; }
    h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
    main { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
    figure { margin: 0; }
    figcaption, caption { font-weight: 600; text-align: left; }
    svg { display: block; height: auto; width: 100%; }
    svg text { fill: var(--soft); font-size: 12px; }
    .axis { stroke: var(--soft); }
    .grid { stroke: var(--rule); }
    .line { fill: none; stroke-linejoin: round; stroke-width: 1.75; }
    path.series0 { stroke: var(--a); }
    path.series1 { stroke: var(--b); }
    path.band { fill-opacity: 0.2; stroke: none; }
    path.band.series0, circle.series0 { fill: var(--a); }
    path.band.series1, circle.series1 { fill: var(--b); }
    .legend { color: var(--soft); font-size: 0.875rem; margin: 0.25rem 0 0; }
    .key { margin-right: 1rem; }
    .key i { display: inline-block; margin-right: 0.4rem; vertical-align: middle; width: 1rem; height: 3px; }
    .key i.dot { border-radius: 50%; height: 0.5rem; width: 0.5rem; }
    .series0 i { background: var(--a); }
    .series1 i { background: var(--b); }
    .figures { display: flex; flex-wrap: wrap; gap: 0.5rem 2rem; }
    .figures dt { color: var(--soft); font-size: 0.875rem; }
    .figures dd { font-size: 1.25rem; margin: 0; }
    .facts { align-items: start; display: flex; flex-wrap: wrap; gap: 2rem; margin: 2rem 0; }
    table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
    th, td { border-bottom: 1px solid var(--rule); font-weight: normal; padding: 0.2rem 0.75rem 0.2rem 0; text-align: left; vertical-align: top; }
    th { color: var(--soft); }
    td { overflow-wrap: anywhere; }
    .steps th, .steps td { text-align: right; }
    summary { cursor: pointer; }
    """)
}
