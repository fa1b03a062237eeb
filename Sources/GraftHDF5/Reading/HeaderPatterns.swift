internal import GraftCore

/// Headers that are like one before: the same bytes but for where the elements or links are, and for the number and the name of a tensor.
///
/// The layers of a model repeat a few headers again and again. What the same bytes mean is known from the first one, which was read
/// part by part, so only what differs is read; whatever isn't quite the same is left to ``ObjectHeader``.
struct HeaderPatterns {
  /// What a header says.
  enum Object {
    case dataset(StoredDataset, DatasetMarks)
    case group([GroupLinks.Link])
  }

  private let file: StructureFile
  private let heaps: GlobalHeap
  private var patterns: [Pattern] = []
  private var oldest = 0
  /// Where the search begins: patterns come in turn, as the tensors of layers do.
  private var next = 0

  /// Names of some lengths, for each of the dozen kinds of tensors that layers have.
  private static let capacity = 64

  init(_ file: StructureFile, _ heaps: GlobalHeap) {
    self.file = file
    self.heaps = heaps
  }

  /// The object of a header that is like one before; nil for others, and for those with something wrong.
  mutating func object(at address: UInt64) throws(StorageError) -> Object? {
    guard !patterns.isEmpty, let (block, range) = try file.block(holding: address) else {
      return nil
    }
    for step in patterns.indices {
      let number = (next + step) % patterns.count
      let pattern = patterns[number]
      guard pattern.matches(block, range) else { continue }
      next = number + 1
      try file.spend(pattern.bytes.count + StructureFile.partCost)
      return pattern.object(block, range, at: address, in: file, heaps)
    }
    return nil
  }

  // MARK: - Learning

  /// Remembers the header of a dataset in one piece of the file.
  ///
  /// - Parameter places: where in the file that stands which differs from dataset to dataset.
  mutating func learn(
    _ header: ObjectHeader, at address: UInt64, _ dataset: StoredDataset, _ marks: DatasetMarks,
    _ places: DatasetMarks.Places
  ) throws(StorageError) {
    guard case .contiguous = dataset.storage, let place = header.place,
      let elements = try DataLayout.placeOfAddress(header.body(.layout))
    else { return }
    let holes = Pattern.DatasetHoles(
      elements: elements - place.lowerBound,
      number: Self.hole(places.number, of: header, in: place),
      name: Self.hole(places.name, of: header, in: place),
      spelling: Self.hole(places.spelling, of: header, in: place))
    // What differs and isn't in the header can't be read out of it.
    guard places.name == nil || holes.name != nil, places.spelling == nil || holes.spelling != nil
    else { return }
    try learn(header, at: address, holes: holes.all, .dataset(dataset, marks, holes))
  }

  /// A place of the file, where it lies in an attribute of a header, counted from the header's beginning.
  private static func hole(
    _ part: Range<Int>?, of header: ObjectHeader, in place: Range<Int>
  ) -> Range<Int>? {
    guard let part else { return nil }
    let isHere = header.messages.contains { message in
      guard message.kind == .attribute else { return false }
      let body = header.body(of: message)
      return part.lowerBound >= body.offset && part.upperBound <= body.offset + body.remaining
    }
    return isHere ? part.lowerBound - place.lowerBound..<part.upperBound - place.lowerBound : nil
  }

  /// Remembers the header of a group that holds its links itself, and no attributes.
  mutating func learn(
    _ header: ObjectHeader, at address: UInt64, _ links: [GroupLinks.Link]
  ) throws(StorageError) {
    guard let place = header.place,
      header.messages.allSatisfy({ $0.kind == .link || $0.kind == .linkInfo }),
      header.messages.count(where: { $0.kind == .link }) == links.count
    else { return }
    var targets: [(name: [UInt8], hole: Int)] = []
    for link in links {
      guard link.target != nil, place.contains(link.place) else { return }
      targets.append((link.name, link.place - place.lowerBound))
    }
    let holes = targets.map { $0.hole..<$0.hole + Pattern.addressBytes }
    try learn(header, at: address, holes: holes, .group(targets))
  }

  private mutating func learn(
    _ header: ObjectHeader, at address: UInt64, holes: [Range<Int>], _ meaning: Pattern.Meaning
  ) throws(StorageError) {
    guard let place = header.place, let (block, range) = try file.block(holding: address),
      place.count <= range.count
    else { return }
    let pattern = Pattern(
      bytes: Array(block[range.prefix(place.count)]),
      holes: holes.sorted { $0.lowerBound < $1.lowerBound }, hasChecksum: header.hasChecksum,
      meaning: meaning)
    guard pattern.isSound else { return }
    if patterns.count < Self.capacity {
      patterns.append(pattern)
    } else {
      patterns[oldest] = pattern
      oldest = (oldest + 1) % Self.capacity
    }
  }
}

/// What the layout, or Graft's way of writing Keras files, says of a dataset in attributes.
struct DatasetMarks {
  /// The number of the tensor.
  var index: Int?
  /// The shape of the tensor, where the dataset's own is another one.
  var shape: [Int]?
  /// The name of the tensor, where the links don't say it.
  var name: [UInt8]?
  /// The dtype that Keras names, where the type is just bytes.
  var spelling: String?
  /// The names of attributes that mean something else, and of those among them that no other file can hold.
  var unkept: [[UInt8]] = []
  var unheld: [[UInt8]] = []

  /// Where in the file those stand that differ from dataset to dataset; nil for those that aren't there.
  struct Places {
    var number: Range<Int>?
    var name: Range<Int>?
    /// The place of a text in the heap.
    var spelling: Range<Int>?
  }
}

/// A header, and what in it may differ.
private final class Pattern: Sendable {
  /// What the header says, with places counted from its beginning.
  enum Meaning: Sendable {
    case dataset(StoredDataset, DatasetMarks, DatasetHoles)
    case group([(name: [UInt8], hole: Int)])
  }

  /// What differs between the headers of datasets.
  struct DatasetHoles {
    let elements: Int
    let number: Range<Int>?
    let name: Range<Int>?
    let spelling: Range<Int>?

    /// All of them.
    var all: [Range<Int>] {
      [elements..<elements + Pattern.addressBytes] + [number, name, spelling].compactMap { $0 }
    }
  }

  let bytes: [UInt8]
  let holes: [Range<Int>]
  let hasChecksum: Bool
  let meaning: Meaning

  init(bytes: [UInt8], holes: [Range<Int>], hasChecksum: Bool, meaning: Meaning) {
    self.bytes = bytes
    self.holes = holes
    self.hasChecksum = hasChecksum
    self.meaning = meaning
  }

  static let addressBytes = 8
  private static let checksumBytes = 4

  /// The bytes before the checksum.
  private var end: Int { bytes.count - (hasChecksum ? Self.checksumBytes : 0) }

  /// Whether the holes are apart from each other and the checksum.
  var isSound: Bool {
    var place = 0
    for hole in holes {
      guard hole.lowerBound >= place else { return false }
      place = hole.upperBound
    }
    return place <= end
  }

  /// Whether a block has these bytes at the beginning of a range, but for the holes and the checksum.
  func matches(_ block: [UInt8], _ range: Range<Int>) -> Bool {
    guard bytes.count <= range.count else { return false }
    var place = 0
    for hole in holes {
      guard isSame(block, range.lowerBound, place..<hole.lowerBound) else { return false }
      place = hole.upperBound
    }
    return isSame(block, range.lowerBound, place..<end)
  }

  private func isSame(_ block: [UInt8], _ start: Int, _ part: Range<Int>) -> Bool {
    bytes.hasSameBytes(in: part, as: block, from: start + part.lowerBound)
  }

  /// What a header with these bytes says; nil where a place isn't in the file, or the checksum is wrong.
  func object(
    _ block: [UInt8], _ range: Range<Int>, at address: UInt64, in file: StructureFile,
    _ heaps: GlobalHeap
  ) -> HeaderPatterns.Object? {
    let whole = StructureCursor(
      block, range.prefix(bytes.count), at: 0, of: file, "object header", "H-20")
    if hasChecksum {
      var cursor = whole
      guard (try? cursor.skip(end)) != nil,
        (try? cursor.checksum()) != nil
      else { return nil }
    }
    switch meaning {
    case .dataset(let dataset, let known, let holes):
      guard let start = number(at: holes.elements, of: whole), start != .max,
        let offset = try? file.offset(of: start, count: dataset.byteCount, "tensor data (H-8)")
      else { return nil }
      var marks = known
      if let hole = holes.number {
        guard let number = number(at: hole.lowerBound, of: whole) else { return nil }
        marks.index = Int(truncatingIfNeeded: number)
      }
      if let hole = holes.name {
        let start = range.lowerBound
        let text = block[start + hole.lowerBound..<start + hole.upperBound]
        marks.name = Array(text.prefix { $0 != 0 })
      }
      if let hole = holes.spelling, let spelling = known.spelling {
        guard hasText(spelling, at: hole.lowerBound, of: whole, heaps) else { return nil }
      }
      return .dataset(dataset.moved(to: address, offset: offset), marks)
    case .group(let targets):
      var links: [GroupLinks.Link] = []
      links.reserveCapacity(targets.count)
      for (name, hole) in targets {
        guard let target = number(at: hole, of: whole), target != .max else { return nil }
        links.append(GroupLinks.Link(name: name, target: target, place: 0))
      }
      return .group(links)
    }
  }

  private func number(at hole: Int, of header: StructureCursor) -> UInt64? {
    var cursor = header
    guard (try? cursor.skip(hole)) != nil else { return nil }
    return try? cursor.number(Self.addressBytes)
  }

  /// Whether the text in the heap that a header refers to is the one that is known.
  private func hasText(
    _ text: String, at hole: Int, of header: StructureCursor, _ heaps: GlobalHeap
  ) -> Bool {
    var cursor = header
    guard (try? cursor.skip(hole)) != nil, let length = try? cursor.u32(),
      let address = try? cursor.number(8), let index = try? cursor.u32(), length > 0,
      address != .max, index > 0, let found = try? heaps.object(index, at: address)
    else { return false }
    return length <= found.count
      && found.prefix(length).prefix { $0 != 0 }.elementsEqual(text.utf8)
  }
}
