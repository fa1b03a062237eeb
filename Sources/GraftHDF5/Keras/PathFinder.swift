internal import GraftCore

/// Something that links lead to.
protocol LinkedObject {
  /// Whether a path leads to it.
  func isAt(_ path: LinkPath) -> Bool
  /// The path to it.
  var path: LinkPath { get }
}

/// Finds objects by their paths: mostly one behind the other, as lists name what stands in a file, else by a table that is made then.
struct PathFinder<Object: LinkedObject> {
  private let objects: [Object]
  private var table: NameTable?
  /// Behind the object that was found last.
  private var next = 0

  init(_ objects: [Object]) { self.objects = objects }

  /// The position of the object that a path leads to; of several the first that is met.
  mutating func position(of path: LinkPath) -> Int? {
    if next < objects.count, objects[next].isAt(path) {
      defer { next += 1 }
      return next
    }
    let table = table ?? Self.table(of: objects)
    self.table = table
    let found = table.position(NameTable.hash(path.bytes)) { objects[$0].isAt(path) }
    if let found { next = found + 1 }
    return found
  }

  private static func table(of objects: [Object]) -> NameTable {
    var table = NameTable(reserving: objects.count)
    for (position, object) in objects.enumerated() {
      let path = object.path
      _ = table.add(NameTable.hash(path.bytes), at: position) { objects[$0].isAt(path) }
    }
    return table
  }
}

extension TreeWalk.Found: LinkedObject {
  func isAt(_ path: LinkPath) -> Bool { path.leads(through: groups, to: link) }
}

extension KerasGroup: LinkedObject {
  func isAt(_ path: LinkPath) -> Bool { path.leads(through: links) }

  var path: LinkPath { LinkPath(links) }
}
