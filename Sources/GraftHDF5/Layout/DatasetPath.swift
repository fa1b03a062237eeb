internal import GraftCore

/// Where a tensor stands in the tree of groups: the links that lead to its dataset, outermost first.
///
/// The dots of a name separate groups. Bytes that a link can't hold, and `%` itself, are `%` and two hexadecimal
/// digits; `%-` stands for nothing, so that empty components have a link and a dataset can stand beside a group
/// of its name. Reading a link gives back the exact bytes, whatever they are.
enum DatasetPath {
  /// The most groups that dots make; what follows keeps its dots in the dataset's own link.
  static let maximumComponents = 32

  private static let dot = UInt8(ascii: ".")
  private static let percent = UInt8(ascii: "%")
  private static let nothing = Array("%-".utf8)

  /// The place of a tensor.
  static func path(of name: TensorName) -> LinkPath {
    var path = LinkPath()
    let parts = name.utf8.split(separator: dot, omittingEmptySubsequences: false)
    for (position, part) in parts.enumerated() {
      let link = escaped(part)
      if position < maximumComponents {
        path.append(link)
      } else {
        path.extend(by: [dot])
        path.extend(by: link)
      }
    }
    return path
  }

  /// The place of a tensor whose name, followed by a dot, begins the name of another one.
  static func besideGroup(_ path: LinkPath) -> LinkPath {
    var path = path
    path.extend(by: nothing)
    return path
  }

  /// The tensor at a link below groups of a file that Graft wrote; nil when a `%` isn't part of an escape.
  static func name(groups: [[UInt8]], link: [UInt8]) -> TensorName? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(groups.reduce(groups.count + link.count) { $0 + $1.count })
    for group in groups {
      guard append(group, to: &bytes) else { return nil }
      bytes.append(UInt8(ascii: "."))
    }
    return append(link, to: &bytes) ? TensorName(utf8: bytes) : nil
  }

  /// Appends what a link stands for; false when a `%` isn't part of an escape.
  private static func append(_ link: [UInt8], to bytes: inout [UInt8]) -> Bool {
    guard link.contains(percent) else {
      bytes += link
      return true
    }
    guard let component = unescaped(link) else { return false }
    bytes += component
    return true
  }

  private static func escaped(_ component: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    guard !component.isEmpty else { return nothing[...] }
    guard component.contains(where: needsLook) else { return component }
    let isText = String(validating: component, as: UTF8.self) != nil
    let escaped: [UInt8] = component.flatMap { byte in
      switch byte {
      case 0..<0x20, 0x7F, percent, UInt8(ascii: "/"): percentCode(byte)
      case 0x80... where !isText: percentCode(byte)
      default: [byte]
      }
    }
    return escaped[...]
  }

  /// Whether a byte may have to be escaped.
  private static func needsLook(_ byte: UInt8) -> Bool {
    byte < 0x20 || byte >= 0x7F || byte == percent || byte == UInt8(ascii: "/")
  }

  private static func percentCode(_ byte: UInt8) -> [UInt8] {
    let digits = Array("0123456789ABCDEF".utf8)
    return [percent, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
  }

  private static func unescaped(_ link: [UInt8]) -> [UInt8]? {
    var result: [UInt8] = []
    var rest = link[...]
    while let byte = rest.popFirst() {
      guard byte == percent else {
        result.append(byte)
        continue
      }
      if rest.first == nothing[1] {
        rest.removeFirst()
      } else if let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit)
      {
        result.append(high << 4 | low)
      } else {
        return nil
      }
    }
    return result
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
