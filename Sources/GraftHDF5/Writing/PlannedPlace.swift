/// Where an object of a file is to be: a path made of parts, which many objects may share.
struct PlannedPlace {
  /// A path that leads there, or above.
  var base: LinkPath
  /// The links below, with slashes between them.
  var group: [UInt8] = []
  /// The last link, if it isn't among the others.
  var link: [UInt8] = []

  /// The whole path, made when it is asked for: for 100,000 objects a path of each takes more than all else.
  var path: LinkPath {
    guard !group.isEmpty || !link.isEmpty else { return base }
    var path = base
    path.append(each: group)
    if !link.isEmpty { path.append(link) }
    return path
  }
}
