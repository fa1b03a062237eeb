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
    /// The tensor in the first checkpoint.
    public let first: TensorInfo
    /// The tensor in the second checkpoint.
    public let second: TensorInfo
    /// How the values differ; nil when they can't be compared as numbers, or the shapes differ.
    public let values: Values?
    /// Whether all values are equal; the dtype may be another.
    public let isEqual: Bool
  }

  /// How the values of two tensors differ.
  public struct Values: Sendable, Equatable {
    /// max |a − b| of finite elements.
    public let maximumError: Double
    /// ‖a − b‖ / ‖a‖ in the Frobenius norm; infinite when only a is zero.
    public let relativeError: Double
    /// ⟨a, b⟩ / (‖a‖ ‖b‖); 1 when both are zero.
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
  /// Whether the values are equal, or near enough.
  public func passes(_ tolerance: Double) -> Bool {
    if isEqual { return true }
    guard tolerance > 0, let values else { return false }
    return values.incomparableCount == 0 && values.maximumError <= tolerance
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
      "name": .string(first.name.text),
      "equal": .bool(isEqual),
      "dtypes": [.string(first.dtype.rawValue), .string(second.dtype.rawValue)],
      "shapes": [first.shape.json, second.shape.json],
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
