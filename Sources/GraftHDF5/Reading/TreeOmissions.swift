internal import GraftCore

/// What a file has that is neither a tensor nor its metadata: attributes of other meanings, and groups with nothing in them.
///
/// Each name of an attribute is told once, with the first object that has it and how many more do: a file may have millions.
struct TreeOmissions {
  /// Something and the objects that have it.
  private struct Counted {
    let name: String
    let first: String
    var count = 1

    /// The objects in words.
    var objects: String { count == 1 ? first : "\(first) and \(count - 1) more" }
  }

  private var attributes: [Counted] = []
  /// The place of each name among the attributes.
  private var places: [[UInt8]: Int] = [:]
  /// The attributes of names beyond those that are told.
  private var furtherCount = 0
  private var emptyGroups: Counted?

  private static let mostNames = 256
  /// The bytes of a name or a path that anyone reads.
  private static let shownBytes = 160

  /// Notes attributes of an object.
  mutating func note(attributes names: [[UInt8]], of links: some Collection<[UInt8]>) {
    for name in names {
      if let place = places[name] {
        attributes[place].count += 1
      } else if attributes.count < Self.mostNames {
        places[name] = attributes.count
        attributes.append(Counted(name: Self.shown(name), first: Self.path(links)))
      } else {
        furtherCount += 1
      }
    }
  }

  /// Notes a group without links; those of Keras have none where a layer has no variables.
  mutating func note(emptyGroup links: [[UInt8]]) {
    guard let last = links.last, last != KerasPath.variables else { return }
    if emptyGroups == nil {
      emptyGroups = Counted(name: "", first: Self.path(links))
    } else {
      emptyGroups?.count += 1
    }
  }

  /// Everything in words, but for attributes of names that others have as well.
  func words(namingGroups: Bool, besides others: TreeOmissions? = nil) -> [String] {
    let told = places.filter { others?.places[$0.key] == nil }.values.sorted()
    var words = told.map { place in
      "the attribute \(attributes[place].name) of \(attributes[place].objects)"
    }
    if furtherCount > 0, others?.attributes.isEmpty != false {
      words.append("\(furtherCount) attributes of other names")
    }
    if namingGroups, let emptyGroups, others?.emptyGroups == nil {
      words.append(
        "\(emptyGroups.count == 1 ? "the empty group" : "empty groups:") \(emptyGroups.objects)")
    }
    return words
  }

  private static func path(_ links: some Collection<[UInt8]>) -> String {
    guard !links.isEmpty else { return "the root" }
    var path: [UInt8] = []
    for link in links where path.count <= shownBytes {
      if !path.isEmpty { path.append(UInt8(ascii: "/")) }
      path += link.prefix(shownBytes + 1)
    }
    return shown(path)
  }

  private static func shown(_ bytes: [UInt8]) -> String {
    guard bytes.count > shownBytes else { return String(decoding: bytes, as: UTF8.self) }
    return String(decoding: bytes.prefix(shownBytes), as: UTF8.self) + "…"
  }
}

extension [Attribute] {
  /// The attributes that say something of the numbers.
  ///
  /// - Parameter isKept: Whether a checkpoint keeps one in its own way.
  func others(besides isKept: (Attribute) -> Bool) -> [Attribute] {
    filter { !isKept($0) && !$0.isBookkeeping }
  }
}

extension Attribute {
  /// Whether libraries write the attribute by themselves: of scales and the dimensions that they belong to, of netCDF-4 and MATLAB.
  var isBookkeeping: Bool { Self.bookkeeping.contains(name) }

  private static let bookkeeping = Set(
    [
      "CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "_Netcdf4Dimid", "_Netcdf4Coordinates",
      "_NCProperties", "_nc3_strict", "MATLAB_class",
    ].map { Array($0.utf8) })
}
