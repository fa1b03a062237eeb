public import GraftCore

/// Tensors that differ only in numbers of their names, such as the layer: shown as one.
public struct TensorGroup: Sendable, Equatable {
  /// A piece of a name: text, or the numbers that stand in its place, rising.
  public enum Piece: Sendable, Equatable {
    case text([UInt8])
    case numbers([Int])
  }

  /// The name's components, which dots and slashes divide; each component begins with the divider before it.
  public let components: [[Piece]]
  /// The positions of the tensors in the list that was folded.
  public let members: [Int]

  /// The name with ranges for numbers, for example `model.layers.{0…29}.mlp.up_proj.weight`.
  public var name: String { components.map(Self.label).joined() }

  /// A component as it is shown, made safe for a terminal.
  static func label(_ component: [Piece]) -> String {
    component.map(label).joined()
  }

  private static func label(_ piece: Piece) -> String {
    switch piece {
    case .text(let bytes): String(decoding: bytes, as: UTF8.self).escapedWhole
    case .numbers(let values): values.count == 1 ? "\(values[0])" : "{\(ranges(of: values))}"
    }
  }

  /// Rising numbers as runs: `0…3,7`; of many runs the first few.
  static func ranges(of values: [Int]) -> String {
    var runs: [ClosedRange<Int>] = []
    for value in values {
      if let last = runs.last, last.upperBound + 1 == value {
        runs[runs.count - 1] = last.lowerBound...value
      } else {
        runs.append(value...value)
      }
    }
    let shown = runs.prefix(6).map {
      $0.count == 1
        ? "\($0.lowerBound)"
        : $0.count == 2 ? "\($0.lowerBound),\($0.upperBound)" : "\($0.lowerBound)…\($0.upperBound)"
    }
    return shown.joined(separator: ",") + (runs.count > 6 ? ",…\(values[values.count - 1])" : "")
  }

  /// Folds a list of tensors; those with another dtype or shape stand apart.
  ///
  /// Groups are in the order of their first tensors.
  public static func fold(_ tensors: [TensorInfo]) -> [TensorGroup] {
    var folding = TensorFolding(capacity: tensors.count)
    for tensor in tensors { folding.add(tensor) }
    return folding.groups
  }
}
