import GraftCore
import GraftHDF5
import TestSupport
import Testing

/// Names that cost little in a file and much in memory: many links share one, or many paths lead through long ones.
@Suite struct `Hostile names in HDF5 files` {
  let scratch: TemporaryFolder

  init() throws { scratch = TemporaryFolder() }

  /// A file of old groups, written part by part.
  private struct OldFile {
    private(set) var bytes = [UInt8](repeating: 0, count: 96)

    private static func number(_ value: Int, _ width: Int) -> [UInt8] {
      (0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    private mutating func add(_ parts: [UInt8]...) -> Int {
      let start = bytes.count
      bytes += parts.joined()
      while bytes.count % 8 > 0 { bytes.append(0) }
      return start
    }

    private mutating func header(_ messages: [(kind: Int, body: [UInt8])]) -> Int {
      let blocks = messages.flatMap { message -> [UInt8] in
        let size = Self.number(message.body.count, 2)
        return Self.number(message.kind, 2) + size + [0, 0, 0, 0] + message.body
      }
      return add(
        [1, 0], Self.number(messages.count, 2), Self.number(1, 4), Self.number(blocks.count, 4),
        [0, 0, 0, 0], blocks)
    }

    /// A dataset of one f32; its address.
    mutating func dataset() -> Int {
      let float: [UInt8] = [
        0x11, 0x20, 0x1F, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0, 0, 0, 0, 0,
      ]
      return header([
        (1, [1, 0, 0, 0, 0, 0, 0, 0]), (3, float), (8, [3, 0, 4, 0, 1, 0, 0, 0]),
      ])
    }

    /// A group whose links take their names from places in one text; its address.
    mutating func group(_ names: [UInt8], _ links: [(place: Int, target: Int)]) -> Int {
      let text = add(names, [0])
      let heap = add(
        Array("HEAP".utf8), [0, 0, 0, 0], Self.number(names.count + 1, 8), Self.number(-1, 8),
        Self.number(text, 8))
      let entries = links.flatMap { link -> [UInt8] in
        Self.number(link.place, 8) + Self.number(link.target, 8)
          + [UInt8](repeating: 0, count: 24)
      }
      let table = add(Array("SNOD".utf8), [1, 0], Self.number(links.count, 2), entries)
      let tree = add(
        Array("TREE".utf8), [0, 0, 1, 0], Self.number(-1, 8), Self.number(-1, 8),
        Self.number(0, 8), Self.number(table, 8), Self.number(0, 8))
      return header([(0x11, Self.number(tree, 8) + Self.number(heap, 8))])
    }

    /// The file with a root.
    func file(root: Int) -> [UInt8] {
      let start: [UInt8] =
        [0x89] + Array("HDF\r\n\u{1A}\n".utf8) + [0, 0, 0, 0, 0, 8, 8, 0, 4, 0, 16, 0, 0, 0, 0, 0]
      let places = [0, -1, bytes.count, -1, 0, root].flatMap { Self.number($0, 8) }
      return start + places + bytes[(start.count + places.count)...]
    }
  }

  private func error(opening bytes: [UInt8]) throws -> StorageError {
    let path = scratch.path + "/names.h5"
    try AtomicFile.write(bytes, to: path)
    return try #require(throws: StorageError.self) { try HDF5Reader(path: path) }
  }

  @Test func `a file of old groups is read`() throws {
    var old = OldFile()
    let dataset = old.dataset()
    let inner = old.group(Array("b".utf8), [(0, dataset)])
    let root = old.group(Array("ab".utf8), [(0, inner), (1, dataset)])
    let path = scratch.path + "/plain.h5"
    try AtomicFile.write(old.file(root: root), to: path)
    let reader = try HDF5Reader(path: path)
    #expect(reader.tensors.map(\.name) == ["ab.b", "b"])
  }

  @Test func `thousands of links with the ends of one long name`() throws {
    var old = OldFile()
    let dataset = old.dataset()
    let names = [UInt8](repeating: UInt8(ascii: "n"), count: 60_000)
    let root = old.group(names, (0..<5000).map { ($0, dataset) })
    #expect(try error(opening: old.file(root: root)).diagnosis.summary.contains("H-20"))
  }

  @Test func `thousands of datasets below groups with long names`() throws {
    var old = OldFile()
    let dataset = old.dataset()
    let short = (0..<2000).map { String($0) + "\0" }
    var place = 0
    let links = short.map { name in
      defer { place += name.utf8.count }
      return (place: place, target: dataset)
    }
    var group = old.group(Array(short.joined().utf8), links)
    let long = [UInt8](repeating: UInt8(ascii: "n"), count: 60_000)
    for _ in 0..<40 { group = old.group(long, [(0, group)]) }
    #expect(try error(opening: old.file(root: group)).diagnosis.summary.contains("H-5"))
  }
}
