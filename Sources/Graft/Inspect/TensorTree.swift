public import GraftCore

/// The tensors of a checkpoint by the components of their names, repeated layers folded.
public struct TensorTree: Sendable {
  /// A component of names, or several in a row that nothing else shares.
  public struct Node: Sendable {
    /// The components, with ranges for numbers; safe for a terminal.
    public let label: String
    /// The bytes of all tensors here and below.
    public let byteCount: Int
    /// The tensors here and below.
    public let tensorCount: Int
    /// The tensors whose name ends here.
    public let leaves: [Leaf]
    /// What goes on.
    public let children: [Node]
  }

  /// Tensors of one dtype and shape whose names end in one place.
  public struct Leaf: Sendable {
    /// The dtype and shape of each.
    public let info: TensorInfo
    /// The positions of the tensors in the list.
    public let members: [Int]
    /// Their bytes.
    public let byteCount: Int
    /// The numbers of their names, where others in the tree have more: `{0,2}`; nil where they don't.
    public let part: String?
  }

  /// What has no name before it.
  public let roots: [Node]

  /// Grows a tree of tensors.
  public init(_ tensors: [TensorInfo]) {
    var draft = Draft()
    for group in TensorGroup.fold(tensors) { draft.add(group, tensors) }
    roots = draft.nodes[0].children.map { draft.node($0) }
  }
}

/// The tree while it grows; node 0 is above the roots.
private struct Draft {
  struct Node {
    /// The component as it was met first.
    let component: [TensorGroup.Piece]
    /// The numbers of each piece, of all names that come by here.
    var numbers: [NumberSet]
    var children: [Int] = []
    var groups: [TensorGroup] = []
    var leaves: [(info: TensorInfo, byteCount: Int)] = []
    var byteCount = 0
    var tensorCount = 0

    init(_ component: [TensorGroup.Piece]) {
      self.component = component
      numbers = [NumberSet](repeating: NumberSet(), count: component.count)
    }

    /// Adds the numbers of a component of the same form.
    mutating func add(_ component: [TensorGroup.Piece]) {
      for (position, piece) in component.enumerated() {
        guard case .numbers(let values) = piece else { continue }
        for value in values { numbers[position].insert(value) }
      }
    }

    /// The component with the numbers of all names.
    var pieces: [TensorGroup.Piece] {
      zip(component, numbers).map { piece, numbers -> TensorGroup.Piece in
        if case .numbers = piece { .numbers(numbers.sorted) } else { piece }
      }
    }
  }

  /// A component below a node; numbers are all the same.
  private struct Key: Hashable {
    let parent: Int
    let pattern: [UInt8]
  }

  var nodes = [Node([])]
  private var places: [Key: Int] = [:]

  mutating func add(_ group: TensorGroup, _ tensors: [TensorInfo]) {
    let info = tensors[group.members[0]]
    let byteCount = info.byteCount * group.members.count
    var place = 0
    for component in group.components {
      place = child(of: place, component)
      nodes[place].byteCount += byteCount
      nodes[place].tensorCount += group.members.count
    }
    nodes[place].groups.append(group)
    nodes[place].leaves.append((info, byteCount))
  }

  private mutating func child(of parent: Int, _ component: [TensorGroup.Piece]) -> Int {
    var pattern: [UInt8] = []
    for piece in component {
      switch piece {
      case .text(let bytes): pattern += bytes
      case .numbers: pattern.append(0xFF)
      }
    }
    let key = Key(parent: parent, pattern: pattern)
    if let known = places[key] {
      nodes[known].add(component)
      return known
    }
    places[key] = nodes.count
    nodes[parent].children.append(nodes.count)
    nodes.append(Node(component))
    nodes[nodes.count - 1].add(component)
    return nodes.count - 1
  }

  // MARK: - Finishing

  /// The node of a place, its only descendants joined to it.
  func node(_ place: Int) -> TensorTree.Node { node(place, path: [], label: "") }

  private func node(
    _ place: Int, path: [[TensorGroup.Piece]], label: String
  ) -> TensorTree.Node {
    let draft = nodes[place]
    let pieces = draft.pieces
    let path = path + [pieces]
    let own = TensorGroup.label(pieces)
    // The divider in front belongs to the line above.
    let label =
      label.isEmpty && path.count > 1 && !own.isEmpty ? String(own.dropFirst()) : label + own
    if draft.groups.isEmpty, draft.children.count == 1, !label.isEmpty {
      return node(draft.children[0], path: path, label: label)
    }
    return TensorTree.Node(
      label: label, byteCount: draft.byteCount, tensorCount: draft.tensorCount,
      leaves: zip(draft.groups, draft.leaves).map { group, leaf in
        TensorTree.Leaf(
          info: leaf.info, members: group.members, byteCount: leaf.byteCount,
          part: Self.part(of: group.components, in: path))
      },
      children: draft.children.map { node($0, path: path, label: "") })
  }

  /// The numbers of a name that aren't all those of its path.
  private static func part(
    of components: [[TensorGroup.Piece]], in path: [[TensorGroup.Piece]]
  ) -> String? {
    var parts: [String] = []
    for (component, whole) in zip(components, path) {
      for (piece, union) in zip(component, whole) {
        guard case .numbers(let own) = piece, case .numbers(let all) = union, own != all else {
          continue
        }
        parts.append(TensorGroup.ranges(of: own))
      }
    }
    return parts.isEmpty ? nil : parts.map { "{\($0)}" }.joined(separator: " of ")
  }
}
