internal import GraftCore

/// How the tensors of a Keras file are named: the links to the dataset, joined by dots.
///
/// A dot or percent sign inside a link is `%2E` or `%25`, so that a name leads back to its links.
enum KerasPath {
  private static let dot = UInt8(ascii: ".")
  private static let percent = UInt8(ascii: "%")

  /// The name of the tensor at links.
  static func name(links: [[UInt8]]) -> TensorName {
    let escaped = links.map { link in
      link.flatMap { byte in
        switch byte {
        case dot: Array("%2E".utf8)
        case percent: Array("%25".utf8)
        default: [byte]
        }
      }
    }
    return TensorName(utf8: escaped.joined(separator: [dot]))
  }

  /// The links of the tensor of a name; nil when they couldn't be links of a file.
  static func links(_ name: TensorName) -> [[UInt8]]? {
    let links = name.utf8.split(separator: dot, omittingEmptySubsequences: false).map { part in
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
    let isPlain = links.allSatisfy { link in
      !link.isEmpty && link.count <= HDF5Limits.nameBytes && link != [dot]
        && !link.contains { $0 == 0 || $0 == UInt8(ascii: "/") }
    }
    return isPlain ? links : nil
  }

  /// Whether links lead to a variable of Keras 3: the last one is its number, or a name that a layer of the user's gives it; the one
  /// before it is `vars`.
  static func isVariable(_ links: [[UInt8]]) -> Bool {
    links.count >= 2 && links[links.count - 2] == Array("vars".utf8)
  }

  /// The number of a variable of Keras 3; nil for one with a name.
  static func number(_ links: [[UInt8]]) -> Int? {
    guard let last = links.last, !last.isEmpty, last.count < 10,
      last.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
    else { return nil }
    return Int(String(decoding: last, as: UTF8.self))
  }
}
