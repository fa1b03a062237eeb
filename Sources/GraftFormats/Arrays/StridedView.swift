internal import GraftCore

/// How the elements of a tensor lie among those of a storage.
///
/// Element [i₀, i₁, …] is the storage's element offset + Σ iₖ · strideₖ.
struct StridedView: Hashable {
  /// The bytes of an element: 1, 2, 4 or 8.
  let width: Int
  /// The extents, outermost first.
  let extents: [Int]
  /// The step of each dimension, in elements; 0 repeats one element.
  let strides: [Int]
  /// The first element.
  let offset: Int
  /// The number of elements, known to fit.
  let elementCount: Int

  /// Why extents and strides are no view.
  enum Defect: Error {
    case rank
    case negative
    case overflow
    /// The element that would be read last.
    case outside(Int)
  }

  /// Checks that every element lies in a storage of `storageCount` elements.
  init(
    width: Int, extents: [Int], strides: [Int], offset: Int, of storageCount: Int
  ) throws(Defect) {
    guard extents.count == strides.count, extents.count <= Shape.maximumRank else { throw .rank }
    guard offset >= 0, extents.allSatisfy({ $0 >= 0 }), strides.allSatisfy({ $0 >= 0 }) else {
      throw .negative
    }
    guard let shape = try? Shape(extents),
      !shape.elementCount.multipliedReportingOverflow(by: width).overflow
    else { throw .overflow }
    var last = offset
    for (extent, stride) in zip(extents, strides) where extent > 1 && shape.elementCount > 0 {
      let (reach, tooFar) = (extent - 1).multipliedReportingOverflow(by: stride)
      let (sum, overflow) = last.addingReportingOverflow(reach)
      guard !tooFar, !overflow else { throw .overflow }
      last = sum
    }
    guard shape.elementCount == 0 ? offset <= storageCount : last < storageCount else {
      throw .outside(last)
    }
    self.width = width
    self.extents = extents
    // A stride that is never taken can be any number; lists that many tensors share stay shared.
    let areTaken = shape.elementCount > 0 && extents.allSatisfy { $0 > 1 }
    self.strides =
      areTaken
      ? strides : zip(extents, strides).map { $0 > 1 && shape.elementCount > 0 ? $1 : 0 }
    self.offset = offset
    elementCount = shape.elementCount
  }

  private init(
    width: Int, extents: [Int], strides: [Int], offset: Int, elementCount: Int
  ) {
    self.width = width
    self.extents = extents
    self.strides = strides
    self.offset = offset
    self.elementCount = elementCount
  }

  /// The strides of elements that lie one after another in the order of the shape.
  static func rowMajor(_ extents: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: extents.count)
    for position in extents.indices.dropLast().reversed() {
      strides[position] = strides[position + 1] &* max(extents[position + 1], 1)
    }
    return strides
  }

  /// The strides of elements in Fortran's order, the first index the fastest.
  static func columnMajor(_ extents: [Int]) -> [Int] {
    rowMajor(extents.reversed()).reversed()
  }

  /// Whether the elements lie one after another in the order of the shape.
  var isContiguous: Bool {
    guard elementCount > 1 else { return true }
    let plain = Self.rowMajor(extents)
    return zip(extents, zip(strides, plain)).allSatisfy { $0 == 1 || $1.0 == $1.1 }
  }

  /// The view with each element in two halves, such as a complex number's parts.
  ///
  /// - Precondition: an even width.
  var halved: StridedView {
    precondition(width % 2 == 0, "elements with two halves")
    return StridedView(
      width: width / 2, extents: extents + [2], strides: strides.map { $0 * 2 } + [1],
      offset: offset * 2, elementCount: elementCount * 2)
  }
}
