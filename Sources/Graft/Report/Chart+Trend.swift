extension Chart.Series {
  /// The mean over a twentieth of the steps around each; nil where there are too few.
  func trend() -> Chart.Series? {
    let finite = points.filter { $0.value.isFinite }
    let reach = finite.count / 40
    guard reach > 0 else { return nil }
    var sums = [0.0]
    for point in finite { sums.append(sums[sums.count - 1] + point.value) }
    let means = finite.indices.map { index in
      // As far to both sides, so that the ends aren't drawn towards the middle.
      let reach = min(reach, index, finite.count - 1 - index)
      let (first, last) = (index - reach, index + reach + 1)
      return (step: finite[index].step, value: (sums[last] - sums[first]) / Double(last - first))
    }
    return Chart.Series(
      name: "mean of \(Quantity.of(2 * reach + 1, "step"))", points: means, color: color,
      isTrend: true)
  }
}
