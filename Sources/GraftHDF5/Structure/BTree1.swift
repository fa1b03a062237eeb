internal import GraftCore

/// A B-tree of version 1: the links of a group of the old kind, or the chunks of a dataset.
struct BTree1 {
  /// What the tree holds.
  enum Content {
    /// Tables of links.
    case links
    /// Chunks, found by as many numbers as a chunk has extents.
    case chunks(rank: Int)

    fileprivate var number: Int {
      switch self {
      case .links: 0
      case .chunks: 1
      }
    }

    fileprivate var keyBytes: Int {
      switch self {
      case .links: 8
      case .chunks(let rank): 8 + 8 * rank
      }
    }

    fileprivate var rule: StaticString {
      switch self {
      case .links: "H-22"
      case .chunks: "H-24"
      }
    }
  }

  private let file: StructureFile
  private let content: Content
  private var seen: Set<UInt64> = []

  /// The most levels; a real tree has 5.
  private static let maximumLevel = 24

  init(_ content: Content, in file: StructureFile) {
    self.content = content
    self.file = file
  }

  /// Visits the leaves below a node, with the key before each.
  ///
  /// - Throws: ``StorageError`` when a node is reached twice, stands on the wrong level, or breaks its form.
  mutating func forEachLeaf(
    from address: UInt64, level: Int? = nil,
    _ body: (_ key: StructureCursor, _ child: UInt64) throws(StorageError) -> Void
  ) throws(StorageError) {
    let rule = content.rule
    var node = try file.cursor(at: address, count: 24, "B-tree", rule)
    try node.signature("TREE")
    guard seen.insert(address).inserted else {
      throw node.malformed("each node of a tree once", found: "a second way to \(address)")
    }
    let (kind, height, count) = (try node.u8(), try node.u8(), try node.u16())
    guard kind == content.number else {
      throw node.malformed("a tree of kind \(content.number)", found: "\(kind)")
    }
    guard height <= Self.maximumLevel, level == nil || level == height else {
      throw node.malformed("level \(level ?? Self.maximumLevel)", found: "\(height)")
    }
    guard let start = address.addingReportingOverflow(24).overflow ? nil : address + 24 else {
      throw node.malformed("an address in the file", found: "\(address)")
    }
    var entries = try file.cursor(
      at: start, count: count * (content.keyBytes + 8), "B-tree", rule)
    for _ in 0..<count {
      let key = try entries.part(content.keyBytes)
      guard let child = try entries.address() else {
        throw entries.malformed("a place for each child", found: "none")
      }
      if height == 0 {
        try body(key, child)
      } else {
        try forEachLeaf(from: child, level: height - 1, body)
      }
    }
  }
}
