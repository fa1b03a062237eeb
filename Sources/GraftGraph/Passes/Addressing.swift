internal import GraftCore
internal import GraftKernels

/// How a broadcast operand lies over a group's rows and columns.
struct Addressing: Hashable {
  let width: TileProgram.Binding.Width
  let rowDivisor: Int
  let rowModulus: Int

  /// Whether element (row, column) of the iteration is element (row, column), or (row), of the operand.
  var isNatural: Bool { rowDivisor == 1 && rowModulus == .max }

  /// Finds the address pattern of an operand of shape `operand` that is broadcast to `shape`, whose elements are the
  /// iteration's rows × columns, or its rows alone; nil when no single divisor and modulus describe it.
  init?(of operand: Shape, broadcastTo shape: Shape, rows: Int, columns: Int) {
    let inner = shape.elementCount == rows * columns ? columns : 1
    guard shape.elementCount == rows * inner else { return nil }
    // Axes from the innermost: extent, and whether the operand varies along it.
    var axes: [(extent: Int, varies: Bool)] = []
    let missing = shape.rank - operand.rank
    if operand.elementCount == shape.elementCount {
      axes = [(shape.elementCount, true)]
    } else {
      guard missing >= 0 else { return nil }
      for axis in (0..<shape.rank).reversed() where shape[axis] > 1 {
        axes.append((shape[axis], axis >= missing && operand[axis - missing] > 1))
      }
    }
    var within: Set<Bool> = []
    var left = inner
    var outer: [(extent: Int, varies: Bool)] = []
    for axis in axes {
      if left == 1 {
        outer.append(axis)
      } else if axis.extent <= left {
        guard left % axis.extent == 0 else { return nil }
        within.insert(axis.varies)
        left /= axis.extent
      } else {
        guard axis.extent % left == 0 else { return nil }
        within.insert(axis.varies)
        outer.append((axis.extent / left, axis.varies))
        left = 1
      }
    }
    guard left == 1, within.count <= 1 else { return nil }
    width = within.contains(true) ? .columns : .one
    guard let firstVarying = outer.firstIndex(where: \.varies),
      let lastVarying = outer.lastIndex(where: \.varies)
    else {
      rowDivisor = 1
      rowModulus = rows == 1 ? .max : 1
      return
    }
    let run = outer[firstVarying...lastVarying]
    guard run.allSatisfy(\.varies) else { return nil }
    let extent = run.reduce(1) { $0 * $1.extent }
    rowDivisor = outer[..<firstVarying].reduce(1) { $0 * $1.extent }
    rowModulus = extent * rowDivisor == rows ? .max : extent
  }
}
