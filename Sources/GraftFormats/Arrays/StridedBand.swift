/// A run of a view's elements that is gathered in one go: one dimension in part, all behind it whole.
struct StridedBand: Equatable {
  /// The elements, in the order of the shape.
  let elements: Range<Int>
  /// What the band's first element is in the storage.
  let source: Int
  /// The dimensions of the band: extent, stride in the storage, stride in the band.
  let axes: [Axis]

  struct Axis: Equatable {
    let extent: Int
    let source: Int
    let target: Int
  }

  /// The band of at most `limit` elements that holds an element.
  ///
  /// - Precondition: the element is one of the view's.
  init(of view: StridedView, holding element: Int, limit: Int) {
    // All dimensions from `axis + 1` on fit as a whole; of `axis` as many rows as fit.
    var axis = view.extents.count
    var inner = 1
    while axis > 0 {
      let (product, overflow) = inner.multipliedReportingOverflow(by: view.extents[axis - 1])
      guard !overflow, product <= limit else { break }
      inner = product
      axis -= 1
    }
    let targets = StridedView.rowMajor(view.extents)
    func axes(from first: Int) -> [Axis] {
      (first..<view.extents.count).map {
        Axis(extent: view.extents[$0], source: view.strides[$0], target: targets[$0])
      }
    }
    guard axis > 0 else {
      (elements, source, self.axes) = (0..<view.elementCount, view.offset, axes(from: 0))
      return
    }
    let split = axis - 1
    let rows = max(1, limit / inner)
    let block = inner * view.extents[split]
    let first = element % block / inner / rows * rows
    let last = min(first + rows, view.extents[split])
    let start = element / block * block + first * inner
    var source = view.offset + first * view.strides[split]
    var rest = element / block
    for position in (0..<split).reversed() {
      source += rest % view.extents[position] * view.strides[position]
      rest /= view.extents[position]
    }
    elements = start..<start + (last - first) * inner
    self.source = source
    self.axes =
      [Axis(extent: last - first, source: view.strides[split], target: targets[split])]
      + axes(from: axis)
  }
}
