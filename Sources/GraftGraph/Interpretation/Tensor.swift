internal import GraftKernels
internal import Glibc

/// Elements with extents, for the interpreter.
struct Tensor {
  let extents: [Int]
  var elements: [Double]

  init(_ extents: [Int], _ elements: [Double]) {
    self.extents = extents
    self.elements = elements
  }

  var columns: Int { extents.last ?? 1 }

  /// The rows: slices of the elements as long as the last extent.
  var rows: [ArraySlice<Double>] {
    stride(from: 0, to: elements.count, by: max(columns, 1)).map { elements[$0..<$0 + columns] }
  }

  /// A matrix with rows and columns exchanged.
  var transposed: Tensor {
    let rows = rows
    return Tensor(
      [columns, rows.count],
      (0..<columns).flatMap { column in rows.map { $0[$0.startIndex + column] } })
  }

  /// The elements repeated as NumPy broadcasts.
  func broadcast(to target: [Int]) -> Tensor {
    guard target != extents else { return self }
    var strides = [Int](repeating: 0, count: target.count)
    var step = 1
    for axis in extents.indices.reversed() {
      if extents[axis] > 1 { strides[axis + target.count - extents.count] = step }
      step *= extents[axis]
    }
    let count = target.reduce(1, *)
    let result = (0..<count).map { index in
      var (rest, offset) = (index, 0)
      for axis in target.indices.reversed() {
        offset += rest % target[axis] * strides[axis]
        rest /= target[axis]
      }
      return elements[offset]
    }
    return Tensor(target, result)
  }

  /// Within each group of `width` columns: (x₁, x₂) → (−x₂, x₁) by halves.
  func rotatedHalf(width: Int) -> [Double] {
    elements.indices.map { i in
      i % width < width / 2 ? -elements[i + width / 2] : elements[i - width / 2]
    }
  }
}

/// Σ xᵢ·yᵢ.
func dot(_ x: ArraySlice<Double>, _ y: ArraySlice<Double>) -> Double {
  zip(x, y).reduce(0) { $0 + $1.0 * $1.1 }
}

/// Σ wᵢ·rowᵢ.
func weighted(_ rows: [ArraySlice<Double>], by weights: [Double]) -> [Double] {
  var sum = [Double](repeating: 0, count: rows.first?.count ?? 0)
  for (row, weight) in zip(rows, weights) {
    for (column, x) in row.enumerated() { sum[column] += weight * x }
  }
  return sum
}

extension TileProgram.Unary {
  /// The function itself.
  func of(_ x: Double) -> Double {
    switch self {
    case .negate: -x
    case .exp: Glibc.exp(x)
    case .log: Glibc.log(x)
    case .squareRoot: x.squareRoot()
    case .reciprocalSquareRoot: 1 / x.squareRoot()
    case .reciprocal: 1 / x
    case .tanh: Glibc.tanh(x)
    case .sigmoid: 1 / (1 + Glibc.exp(-x))
    case .erf: Glibc.erf(x)
    case .absolute: Swift.abs(x)
    case .square: x * x
    case .sine: sin(x)
    case .cosine: cos(x)
    }
  }
}

extension TileProgram.Binary {
  /// The function itself.
  func of(_ x: Double, _ y: Double) -> Double {
    switch self {
    case .add: x + y
    case .subtract: x - y
    case .multiply: x * y
    case .divide: x / y
    case .maximum: x > y ? x : y
    case .minimum: x < y ? x : y
    case .less: x < y ? 1 : 0
    case .equal: x == y ? 1 : 0
    }
  }
}

extension TileProgram.Reduction {
  /// The reduction of one row.
  func of(_ row: ArraySlice<Double>) -> Double {
    switch self {
    case .sum: row.reduce(0, +)
    case .maximum: row.reduce(-Double.infinity, Swift.max)
    }
  }
}
