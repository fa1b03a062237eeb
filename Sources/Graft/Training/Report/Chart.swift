internal import Foundation

/// A line chart as inline SVG: value over step, axes labelled, readable to screen readers.
struct Chart {
  /// One line.
  struct Series {
    let name: String
    let points: [(step: Int, value: Double)]
    /// Whether the points are few and marked one by one.
    var isMarked = false
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
        .element("p", ["class": "legend"], series.enumerated().map(Self.legend)),
      ])
  }

  private static func legend(_ index: Int, _ series: Series) -> Markup {
    .element(
      "span", ["class": "key series\(index % 2)"],
      [.element("i", ["class": series.isMarked ? "dot" : "line"], " "), .text(series.name)])
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
    for tick in y.ticks { parts += Self.horizontal(tick, Self.place(tick, y)) }
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
        Self.label(Axis.label(tick), at, h - Self.bottom + 20, anchor: "middle"))
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
    for (index, line) in series.enumerated() { parts += Self.draw(line, index, x, y) }
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

  private static func horizontal(_ tick: Double, _ at: Double) -> [Markup] {
    [
      .element(
        "line",
        [
          "class": "grid", "x1": number(left), "x2": number(width - right), "y1": number(at),
          "y2": number(at),
        ]), label(Axis.label(tick), left - 8, at + 4, anchor: "end"),
    ]
  }

  private static func draw(_ series: Series, _ index: Int, _ x: Axis, _ y: Axis) -> [Markup] {
    func across(_ step: Double) -> Double { left + x.position(of: step) * (width - left - right) }
    let points = series.points.filter { $0.value.isFinite }
    let color = "series\(index % 2)"
    if series.isMarked {
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
    if points.count > buckets.count {
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
        "path", ["class": "line \(color)", "d": "M\(path(buckets.map { ($0.step, $0.mean) }))"]))
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
