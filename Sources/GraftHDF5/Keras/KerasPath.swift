internal import GraftCore

/// How the tensors of a Keras file are named: the links to the dataset, joined by dots.
///
/// A dot or percent sign inside a link is `%2E` or `%25`, so that a name leads back to its links.
enum KerasPath {
  private static let dot = UInt8(ascii: ".")
  private static let percent = UInt8(ascii: "%")

  /// The group of a layer's variables.
  static let variables = Array("vars".utf8)

  /// The name of the tensor at links.
  static func name(links: some Collection<some Collection<UInt8>>) -> TensorName {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(links.reduce(0) { $0 + $1.count + 1 })
    for (position, link) in links.enumerated() {
      if position > 0 { bytes.append(dot) }
      guard link.contains(where: { $0 == dot || $0 == percent }) else {
        bytes += link
        continue
      }
      for byte in link {
        switch byte {
        case dot: bytes.append(text: "%2E")
        case percent: bytes.append(text: "%25")
        default: bytes.append(byte)
        }
      }
    }
    return TensorName(utf8: bytes)
  }

  /// The links of the tensor of a name; nil when they couldn't be links of a file.
  static func links(_ name: TensorName) -> [[UInt8]]? {
    let links = name.utf8.split(separator: dot, omittingEmptySubsequences: false).map(unescaped)
    let isPlain = links.allSatisfy { link in
      !link.isEmpty && link.count <= HDF5Limits.nameBytes && link != [dot]
        && !link.contains { $0 == 0 || $0 == UInt8(ascii: "/") }
    }
    return isPlain ? links : nil
  }

  private static func unescaped(_ part: ArraySlice<UInt8>) -> [UInt8] {
    guard part.contains(percent) else { return Array(part) }
    var rest = part
    var link: [UInt8] = []
    while let byte = rest.popFirst() {
      if byte == percent, rest.starts(with: "2E".utf8) || rest.starts(with: "25".utf8) {
        link.append(rest.dropFirst().first == UInt8(ascii: "E") ? dot : percent)
        rest = rest.dropFirst(2)
      } else {
        link.append(byte)
      }
    }
    return link
  }

  /// Whether links lead to a variable of Keras 3: the last one is its number, or a name that a layer of the user's gives it; the one
  /// before it is `vars`.
  static func isVariable(_ links: [[UInt8]]) -> Bool {
    links.count >= 2 && links[links.count - 2] == variables
  }

  /// Whether the datasets of a group are such variables, by the links that lead to the group.
  static func holdsVariables(_ groups: [[UInt8]]) -> Bool { groups.last == variables }

  /// The number of a variable of Keras 3 by its last link; nil for one with a name.
  static func number(_ link: some Collection<UInt8>) -> Int? {
    guard !link.isEmpty, link.count < 10 else { return nil }
    var number = 0
    for byte in link {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      number = 10 * number + Int(byte - UInt8(ascii: "0"))
    }
    return number
  }
}
