public import GraftCore

/// Tensors that differ only in a number of their name, such as the layer: shown as one.
public struct TensorGroup: Sendable, Equatable {
  /// The name with ranges for numbers, for example `model.layers.{0…29}.mlp.up_proj.weight`.
  public let name: String
  /// The positions of the tensors in the list that was folded.
  public let members: [Int]

  /// Folds a list of tensors; those with another dtype or shape stand apart.
  ///
  /// Groups are in the order of their first tensors.
  public static func fold(_ tensors: [TensorInfo]) -> [TensorGroup] {
    var places: [Key: Int] = [:]
    var groups: [(parts: [String], numbers: [[Int]], members: [Int])] = []
    for (position, tensor) in tensors.enumerated() {
      let (parts, numbers) = split(tensor.name)
      let key = Key(parts: parts, dtype: tensor.dtype, shape: tensor.shape)
      if let place = places[key] {
        groups[place].numbers.append(numbers)
        groups[place].members.append(position)
      } else {
        places[key] = groups.count
        groups.append((parts, [numbers], [position]))
      }
    }
    return groups.map { group in
      TensorGroup(
        name: name(of: group.parts, group.numbers), members: group.members)
    }
  }

  private struct Key: Hashable {
    let parts: [String]
    let dtype: DType
    let shape: Shape
  }

  /// Takes the numbers between dots out of a name; their places are empty parts.
  private static func split(_ name: TensorName) -> (parts: [String], numbers: [Int]) {
    var parts: [String] = []
    var numbers: [Int] = []
    for part in name.description.split(separator: ".", omittingEmptySubsequences: false) {
      let isPlain = part == "0" || (part.first != "0" && part.allSatisfy(\.isASCIIDigit))
      if isPlain, let number = Int(part) {
        numbers.append(number)
        parts.append("")
      } else {
        // An empty part of the name itself is not a number's place.
        parts.append(part.isEmpty ? "\u{0}" : String(part))
      }
    }
    return (parts, numbers)
  }

  private static func name(of parts: [String], _ numbers: [[Int]]) -> String {
    var position = 0
    return parts.map { part in
      guard part.isEmpty else { return part == "\u{0}" ? "" : part }
      defer { position += 1 }
      let values = Set(numbers.map { $0[position] }).sorted()
      return values.count == 1 ? "\(values[0])" : "{\(ranges(of: values))}"
    }.joined(separator: ".")
  }

  /// Sorted numbers as runs: `0…3,7`; of many runs the first few.
  private static func ranges(of values: [Int]) -> String {
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
}

extension Character {
  fileprivate var isASCIIDigit: Bool { ("0"..."9").contains(self) }
}
