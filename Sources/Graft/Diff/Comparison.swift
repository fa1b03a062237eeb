public import GraftCore

/// How two checkpoints differ.
public struct Comparison: Sendable {
  /// The tensors that both have, in the order of the first.
  public let tensors: [Entry]
  /// The tensors that only the first has.
  public let onlyInFirst: [TensorInfo]
  /// The tensors that only the second has.
  public let onlyInSecond: [TensorInfo]
  /// The other files, where both sides are directories or hold files.
  public let files: [File]
  /// The largest absolute difference that passes.
  public let tolerance: Double

  /// A tensor that both have.
  public struct Entry: Sendable {
    /// The name: as in the first checkpoint, but for a copy of a tied tensor that only the second has.
    public let name: TensorName
    /// The tensor in the first checkpoint.
    public let first: TensorInfo
    /// The tensor in the second checkpoint.
    public let second: TensorInfo
    /// The dtypes in the files; values that were quantized are compared as f32.
    public let dtypes: (first: DType, second: DType)
    /// Whether the second is compared as its transpose.
    public let isTransposed: Bool
    /// How the values differ; nil when they can't be compared as numbers, or the shapes differ.
    public let values: Values?
    /// Whether all values are equal; the dtype may be another.
    public let isEqual: Bool
  }

  /// How the values of two tensors differ.
  public struct Values: Sendable, Equatable {
    /// max |a − b| of elements that are NaN on neither side; infinite where only one is infinite, or they have two signs.
    public let maximumError: Double
    /// ‖a − b‖ / ‖a‖ in the Frobenius norm; infinite when only a is zero, or a difference is infinite.
    public let relativeError: Double
    /// ⟨a, b⟩ / (‖a‖ ‖b‖) of the elements that are finite on both sides; 1 when both norms are zero.
    public let cosine: Double
    /// Elements that aren't equal.
    public let differingCount: Int
    /// Elements that are NaN or infinite on one side only, or in different ways.
    public let incomparableCount: Int
  }

  /// A file that belongs to one side or both.
  public struct File: Sendable, Equatable {
    /// What was found.
    public enum Finding: String, Sendable {
      case equal, different, onlyInFirst, onlyInSecond
    }

    /// The name in the directory.
    public let name: String
    /// What was found.
    public let finding: Finding
  }

  /// Whether everything is equal but for differences within the tolerance.
  public var isWithinTolerance: Bool {
    onlyInFirst.isEmpty && onlyInSecond.isEmpty && files.allSatisfy { $0.finding == .equal }
      && tensors.allSatisfy { $0.passes(tolerance) }
  }
}

extension Comparison.Entry {
  /// Makes an entry of sums; nil where the values can't be compared.
  init(
    name: TensorName, first: TensorInfo, second: TensorInfo, dtypes: (DType, DType),
    isTransposed: Bool, _ sums: DifferenceSums?
  ) {
    self.name = name
    self.first = first
    self.second = second
    self.dtypes = dtypes
    self.isTransposed = isTransposed
    values = sums.map(Comparison.Values.init)
    isEqual = sums?.differingCount == 0
  }

  /// Whether the shapes are each other's reverse, and weren't compared as transposes.
  public var isReversed: Bool {
    !isTransposed && first.shape != second.shape && first.shape.isReverse(of: second.shape)
  }

  /// Whether the values are equal, or near enough.
  public func passes(_ tolerance: Double) -> Bool {
    if isEqual { return true }
    guard tolerance > 0, let values else { return false }
    return values.incomparableCount == 0 && values.maximumError <= tolerance
  }
}

extension Comparison.Values {
  init(_ sums: DifferenceSums) {
    let (left, right) = (sums.leftSquared, sums.rightSquared)
    maximumError = sums.maximum
    relativeError = sums.errorSquared.value == 0 ? 0 : sums.errorSquared.normRatio(to: left)
    let isEqual = sums.differingCount == 0
    cosine =
      isEqual || (left.value == 0 && right.value == 0)
      ? 1 : left.value == 0 || right.value == 0 ? 0 : sums.product.cosine(of: left, and: right)
    differingCount = sums.differingCount
    incomparableCount = sums.incomparableCount
  }
}

extension Comparison {
  /// The comparison as JSON.
  public var json: JSONValue {
    [
      "equal": .bool(isWithinTolerance),
      "tolerance": JSONValue(tolerance),
      "tensors": .array(tensors.map(\.json)),
      "onlyInA": .array(onlyInFirst.map { .string($0.name.text) }),
      "onlyInB": .array(onlyInSecond.map { .string($0.name.text) }),
      "files": .array(
        files.map { ["name": .string($0.name), "finding": .string($0.finding.contractName)] }),
    ]
  }
}

extension Comparison.Entry {
  /// The entry as JSON; what isn't a number there is null.
  public var json: JSONValue {
    [
      "name": .string(name.text),
      "equal": .bool(isEqual),
      "dtypes": [.string(dtypes.first.rawValue), .string(dtypes.second.rawValue)],
      "shapes": [first.shape.json, second.shape.json],
      "transposed": .bool(isTransposed),
      "maxAbs": number(values?.maximumError),
      "relativeError": number(values?.relativeError),
      "cosine": number(values?.cosine),
      "differingCount": values.map { JSONValue($0.differingCount) } ?? .null,
      "incomparableCount": values.map { JSONValue($0.incomparableCount) } ?? .null,
    ]
  }

  private func number(_ value: Double?) -> JSONValue {
    value.flatMap { $0.isFinite ? JSONValue($0) : nil } ?? .null
  }
}

extension Comparison.File.Finding {
  fileprivate var contractName: String {
    switch self {
    case .equal, .different: rawValue
    case .onlyInFirst: "onlyInA"
    case .onlyInSecond: "onlyInB"
    }
  }
}

extension Shape {
  /// The extents as JSON.
  var json: JSONValue { .array(dimensions.map { JSONValue($0) }) }
}
