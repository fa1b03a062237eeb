internal import Foundation

/// A line chart as inline SVG: value over step, axes labelled, readable to screen readers.
struct Chart {
  /// One line.
  struct Series {
    /// How the points are drawn: as a line, as one that others stand out from, or one by one where they are few.
    enum Style: String {
      case line, faint, marks
    }

    let name: String
    let points: [(step: Int, value: Double)]
    /// Which of the two colours.
    var color = 0
    var style = Style.line
    /// Whether the points are means already, whose range says nothing.
    var isTrend = false
  }

  let title: String
  /// What the vertical axis counts.
  let unit: String
  let series: [Series]
  var beginsAtZero = false

  private static let (width, height) = (640.0, 300.0)
  private static let (left, right, top, bottom) = (72.0, 16.0, 16.0, 48.0)
  /// The most points of a line; longer ones are drawn as means with the range around them.
  private static let maximumPoints = 500

  /// The chart with its caption and legend.
  var markup: Markup {
    .element(
      "figure", [:],
      [
        .element("figcaption", [:], title), svg,
      ] + (series.count > 1 ? [.element("p", ["class": "legend"], series.map(Self.legend))] : [])
    )
  }

  private static func legend(_ series: Series) -> Markup {
    .element(
      "span", ["class": "key series\(series.color)"],
      [.element("i", ["class": series.style.rawValue], " "), .text(series.name)])
  }

  // MARK: - Drawing

  private var svg: Markup {
    let points = series.flatMap(\.points)
    let steps = points.map(\.step)
    let x = Axis(steps: (steps.min() ?? 0)...(steps.max() ?? 1))
    let y = Axis(points.map(\.value), fromZero: beginsAtZero)
    let (w, h) = (Self.width, Self.height)
    var parts: [Markup] = [
      .element("title", [:], title), .element("desc", [:], description),
    ]
    for tick in y.ticks { parts += Self.horizontal(y.label(tick), Self.place(tick, y)) }
    for tick in x.ticks {
      let at = Self.left + x.position(of: tick) * (w - Self.left - Self.right)
      parts.append(
        .element(
          "line",
          [
            "class": "axis", "x1": Self.number(at), "x2": Self.number(at),
            "y1": Self.number(h - Self.bottom), "y2": Self.number(h - Self.bottom + 5),
          ]))
      parts.append(
        Self.label(x.label(tick), at, h - Self.bottom + 20, anchor: "middle"))
    }
    parts.append(
      .element(
        "line",
        [
          "class": "axis", "x1": Self.number(Self.left), "x2": Self.number(w - Self.right),
          "y1": Self.number(h - Self.bottom), "y2": Self.number(h - Self.bottom),
        ]))
    parts.append(
      Self.label("step", (Self.left + w - Self.right) / 2, h - 8, anchor: "middle"))
    parts.append(
      .element(
        "text",
        [
          "class": "unit", "text-anchor": "middle",
          "transform":
            "translate(14 \(Self.number((Self.top + h - Self.bottom) / 2))) rotate(-90)",
        ], unit))
    for line in series { parts += Self.draw(line, x, y) }
    return .element(
      "svg", ["viewBox": "0 0 \(Int(w)) \(Int(h))", "role": "img", "aria-label": title], parts)
  }

  /// What somebody who can't see the chart is told.
  private var description: String {
    series.map { line in
      let values = line.points.map(\.value).filter(\.isFinite)
      guard let first = values.first, let last = values.last, let low = values.min(),
        let high = values.max()
      else { return "\(line.name): no values" }
      return "\(line.name) in \(unit): first \(Axis.label(first)), last \(Axis.label(last)), "
        + "least \(Axis.label(low)), greatest \(Axis.label(high))"
    }.joined(separator: "; ")
  }

  private static func horizontal(_ text: String, _ at: Double) -> [Markup] {
    [
      .element(
        "line",
        [
          "class": "grid", "x1": number(left), "x2": number(width - right), "y1": number(at),
          "y2": number(at),
        ]), label(text, left - 8, at + 4, anchor: "end"),
    ]
  }

  private static func draw(_ series: Series, _ x: Axis, _ y: Axis) -> [Markup] {
    func across(_ step: Double) -> Double { left + x.position(of: step) * (width - left - right) }
    let points = series.points.filter { $0.value.isFinite }
    let color = "series\(series.color)"
    if series.style == .marks {
      return points.map { point in
        .element(
          "circle",
          [
            "class": "dot \(color)", "cx": number(across(Double(point.step))),
            "cy": number(place(point.value, y)), "r": "3.5",
          ], [.element("title", [:], "step \(point.step): \(Axis.label(point.value))")])
      }
    }
    let buckets = bucketed(points)
    guard !buckets.isEmpty else { return [] }
    func path(_ values: [(Double, Double)]) -> String {
      values.map { "\(number(across($0.0))) \(number(place($0.1, y)))" }
        .joined(separator: "L")
    }
    var result: [Markup] = []
    if points.count > buckets.count, !series.isTrend {
      let outline =
        buckets.map { ($0.step, $0.high) } + buckets.reversed().map { ($0.step, $0.low) }
      result.append(.element("path", ["class": "band \(color)", "d": "M\(path(outline))Z"]))
    }
    if buckets.count == 1 {
      result.append(
        .element(
          "circle",
          [
            "class": "dot \(color)", "cx": number(across(buckets[0].step)),
            "cy": number(place(buckets[0].mean, y)), "r": "3.5",
          ]))
    }
    result.append(
      .element(
        "path",
        [
          "class": "line \(series.style.rawValue) \(color)",
          "d": "M\(path(buckets.map { ($0.step, $0.mean) }))",
        ]))
    return result
  }

  /// Neighbouring points drawn as one: their middle step, mean, least and greatest value.
  private static func bucketed(_ points: [(step: Int, value: Double)]) -> [(
    step: Double, mean: Double, low: Double, high: Double
  )] {
    let size = (points.count + maximumPoints - 1) / maximumPoints
    return stride(from: 0, to: points.count, by: max(size, 1)).map { start in
      let part = points[start..<min(start + max(size, 1), points.count)]
      let values = part.map(\.value)
      let count = Double(values.count)
      return (
        part.reduce(0) { $0 + Double($1.step) } / count, values.reduce(0, +) / count,
        values.min() ?? 0, values.max() ?? 0
      )
    }
  }

  private static func place(_ value: Double, _ y: Axis) -> Double {
    height - bottom - y.position(of: value) * (height - top - bottom)
  }

  private static func label(
    _ text: String, _ x: Double, _ y: Double, anchor: String
  ) -> Markup {
    .element("text", ["x": number(x), "y": number(y), "text-anchor": anchor], text)
  }

  /// Tenths of a unit are finer than a pixel.
  private static func number(_ value: Double) -> String { String(format: "%.1f", value) }
}
