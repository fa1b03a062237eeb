internal import Foundation
internal import GraftTraining

extension RunReport {
  /// The most rows of the table; of longer runs it shows steps at equal distances.
  private static let maximumRows = 500

  /// The page.
  var page: ReportPage {
    ReportPage(
      title: title,
      body: [
        summary,
        .element(
          "main", [:],
          charts.map(\.markup) + sections.prefix(1).map(Self.block)),
        .element(
          "div", ["class": "facts"], sections.dropFirst().map(Self.block) + [.text(" ")]),
        steps,
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
    return ReportPage.figures(figures)
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
    ReportPage.facts(section.title, section.facts.map { ($0.name, .text($0.value)) })
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
}
