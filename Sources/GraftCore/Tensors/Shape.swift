/// The extents of a tensor, outermost first, with an element count that is known not to overflow.
public struct Shape: Sendable, Hashable {
  /// The extents; an empty list is a scalar.
  public let dimensions: [Int]
  /// The product of the extents; 1 for a scalar.
  public let elementCount: Int

  /// The largest rank that any reader accepts.
  public static let maximumRank = 64

  /// Makes a shape from extents that a file or a caller declares.
  ///
  /// Dimensions are multiplied from the left; a product that leaves `Int` is an overflow even when a later
  /// extent is zero, as in the reference implementation of safetensors.
  /// - Throws: ``ShapeError`` when an extent is negative, the rank is above ``maximumRank`` or the count overflows.
  public init(_ dimensions: [Int]) throws(ShapeError) {
    guard dimensions.count <= Self.maximumRank else { throw .rank(dimensions.count) }
    var count = 1
    for extent in dimensions {
      guard extent >= 0 else { throw .negativeExtent(extent) }
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard !overflow else { throw .overflow(dimensions) }
      count = product
    }
    self.dimensions = dimensions
    self.elementCount = count
  }

  /// Makes a shape from extents known to the program, such as those of a graph node.
  ///
  /// - Precondition: the extents are non-negative and their product fits an `Int`.
  public init(known dimensions: Int...) {
    self.init(trusted: dimensions)
  }

  /// Makes a shape from a list of extents known to the program.
  ///
  /// - Precondition: the extents are non-negative and their product fits an `Int`.
  public init(trusted dimensions: [Int]) {
    precondition(dimensions.allSatisfy { $0 >= 0 }, "a shape has no negative extents")
    self.dimensions = dimensions
    self.elementCount = dimensions.reduce(1, *)
  }

  /// The number of dimensions.
  public var rank: Int { dimensions.count }

  /// The innermost extent; 1 for a scalar.
  public var columns: Int { dimensions.last ?? 1 }

  /// The product of all extents but the innermost: the rows that row-wise operations run over.
  public var rows: Int { dimensions.dropLast().reduce(1, *) }

  /// The extent at a position.
  public subscript(position: Int) -> Int { dimensions[position] }

  /// The bytes that a tensor of this shape occupies.
  ///
  /// - Throws: ``ShapeError`` when the count overflows or doesn't fill whole blocks; block-quantized types
  ///   need an innermost extent that is a multiple of the block.
  public func byteCount(of dtype: DType) throws(ShapeError) -> Int {
    let layout = dtype.layout
    if dtype.isBlockQuantized, columns % layout.elements != 0 {
      throw .partialBlock(elements: columns, blockElements: layout.elements)
    }
    guard elementCount % layout.elements == 0 else {
      throw .partialBlock(elements: elementCount, blockElements: layout.elements)
    }
    let (bytes, overflow) = (elementCount / layout.elements).multipliedReportingOverflow(
      by: layout.bytes)
    guard !overflow else { throw .overflow(dimensions) }
    return bytes
  }
}

/// Why extents don't make a shape, or a shape has no size in bytes.
public enum ShapeError: Error, Equatable, Sendable {
  /// More dimensions than ``Shape/maximumRank``.
  case rank(Int)
  /// A negative extent.
  case negativeExtent(Int)
  /// The element or byte count doesn't fit.
  case overflow([Int])
  /// The elements don't fill whole blocks of the dtype.
  case partialBlock(elements: Int, blockElements: Int)
}

extension Shape: CustomStringConvertible {
  /// The extents in brackets, for example `[49152, 576]`.
  public var description: String { "[" + dimensions.map(String.init).joined(separator: ", ") + "]" }
}

extension Shape: ExpressibleByArrayLiteral {
  /// Makes a shape known to the program; traps on negative extents.
  public init(arrayLiteral elements: Int...) { self.init(trusted: elements) }
}

extension ShapeError: CustomStringConvertible {
  /// One sentence for the message of the error that wraps this one.
  public var description: String {
    switch self {
    case .rank(let rank): "\(rank) dimensions, more than \(Shape.maximumRank)"
    case .negativeExtent(let extent): "a negative extent, \(extent)"
    case .overflow(let dimensions):
      "the size of [\(dimensions.map(String.init).joined(separator: ", "))] overflows"
    case .partialBlock(let elements, let block):
      "\(elements) elements are not whole blocks of \(block)"
    }
  }
}
