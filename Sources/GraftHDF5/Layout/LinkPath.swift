internal import GraftCore

/// The links that lead to an object of a file being written, outermost first, each behind a slash.
///
/// One run of bytes: for each of 100,000 datasets a list of links would take several times as much.
struct LinkPath: Hashable {
  private(set) var bytes: [UInt8]

  private static let slash = UInt8(ascii: "/")

  /// The path of links, none of them empty.
  init(_ links: [[UInt8]] = []) {
    bytes = []
    bytes.reserveCapacity(links.reduce(links.count) { $0 + $1.count })
    for link in links { append(link) }
  }

  private init(bytes: ArraySlice<UInt8>) { self.bytes = Array(bytes) }

  /// Whether two paths have the same links.
  static func == (left: LinkPath, right: LinkPath) -> Bool {
    left.bytes.hasSameBytes(as: right.bytes)
  }

  /// Hashes the links.
  func hash(into hasher: inout Hasher) { bytes.hashBytes(into: &hasher) }

  // MARK: - Making

  /// Goes on along a link.
  mutating func append(_ link: some Collection<UInt8>) {
    bytes.append(Self.slash)
    bytes += link
  }

  /// Goes on along the links of a text that has slashes between them.
  mutating func append(each text: [UInt8]) {
    var start = 0
    for place in 0...text.count where place == text.count || text[place] == Self.slash {
      if place > start { append(text[start..<place]) }
      start = place + 1
    }
  }

  /// Goes back to the first so many bytes, the end of a link.
  mutating func cut(to byteCount: Int) { bytes.removeLast(bytes.count - byteCount) }

  /// Adds bytes to the last link.
  mutating func extend(by more: some Collection<UInt8>) { bytes += more }

  // MARK: - Looking

  /// Whether the path has these links, and none behind them.
  func leads(through groups: [[UInt8]], to last: [UInt8]? = nil) -> Bool {
    var place = 0
    for group in groups where !goes(on: group, from: &place) { return false }
    if let last, !goes(on: last, from: &place) { return false }
    return place == bytes.count
  }

  private func goes(on link: [UInt8], from place: inout Int) -> Bool {
    guard link.count < bytes.count - place, bytes[place] == Self.slash,
      link.hasSameBytes(in: link.indices, as: bytes, from: place + 1)
    else { return false }
    place += 1 + link.count
    return true
  }

  /// The links.
  var links: [ArraySlice<UInt8>] { bytes.split(separator: Self.slash) }

  /// The path of the group that the object stands in; nil in the root.
  var group: LinkPath? {
    guard let end = bytes.lastIndex(of: Self.slash), end > 0 else { return nil }
    return LinkPath(bytes: bytes[..<end])
  }

  /// The last link.
  var last: ArraySlice<UInt8> {
    bytes[(bytes.lastIndex(of: Self.slash).map { $0 + 1 } ?? 0)...]
  }

  /// Whether HDF5 can hold links of these lengths.
  var isShort: Bool {
    bytes.count <= HDF5Limits.nameBytes || links.allSatisfy { $0.count <= HDF5Limits.nameBytes }
  }

  /// The path as libhdf5 takes it.
  var cString: [CChar] {
    var text: [CChar] = []
    text.reserveCapacity(bytes.count + 1)
    for byte in bytes { text.append(CChar(bitPattern: byte)) }
    text.append(0)
    return text
  }
}

extension LinkPath: CustomStringConvertible {
  /// The links with slashes between them, for errors.
  var description: String { String(decoding: bytes.dropFirst(), as: UTF8.self) }
}
