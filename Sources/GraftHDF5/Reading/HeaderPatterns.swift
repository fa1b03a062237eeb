internal import GraftCore

/// Headers that are like one before: the same bytes but for where the elements or links are, and for the number and the name of a tensor.
///
/// The layers of a model repeat a few headers again and again. What the same bytes mean is known from the first one, which was read
/// part by part, so only what differs is read; whatever isn't quite the same is left to ``ObjectHeader``.
struct HeaderPatterns {
  /// What a header says.
  enum Object {
    case dataset(StoredDataset, DatasetMarks)
    /// Of a group without attributes there are no marks.
    case group([GroupLinks.Link], GroupMarks?)
  }

  private let file: StructureFile
  private let heaps: GlobalHeap
  private var patterns: [Pattern] = []
  private var oldest = 0
  /// Headers of groups with attributes, which were met once: mostly the values are of one group alone.
  private var candidates: [Pattern] = []
  /// The pattern that was met last, and for each the one that came after it: they come in turn, as the tensors of layers do.
  private var last = 0
  private var followers: [Int] = []

  /// Names of some lengths, for each of the dozen kinds of tensors that layers have.
  private static let capacity = 64
  private static let candidateCount = 8

  init(_ file: StructureFile, _ heaps: GlobalHeap) {
    self.file = file
    self.heaps = heaps
  }

  /// The object of a header that is like one before; nil for others, and for those with something wrong.
  mutating func object(at address: UInt64) throws(StorageError) -> Object? {
    guard !patterns.isEmpty, let (block, range) = try file.block(holding: address) else {
      return nil
    }
    let guess = followers[last]
    for step in patterns.indices {
      let number = (guess + step) % patterns.count
      let pattern = patterns[number]
      guard pattern.matches(block, range) else { continue }
      (followers[last], last) = (number, number)
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

  /// Remembers the header of a group that holds its links itself; one with attributes when it is met again.
  mutating func learn(
    _ header: ObjectHeader, at address: UInt64, _ links: [GroupLinks.Link], _ marks: GroupMarks
  ) throws(StorageError) {
    let kinds: [ObjectHeader.Kind] = [.link, .linkInfo, .attribute, .attributeInfo]
    let place = header.extent
    guard header.isShort, header.messages.allSatisfy({ kinds.contains($0.kind) }),
      header.messages.count(where: { $0.kind == .link }) == links.count
    else { return }
    // All stand in one block, in the order of their names.
    let second = header.continuation
    let isFurther = links.first.map { second?.extent.contains($0.place) == true } ?? false
    let extent = isFurther ? second?.extent ?? place : place
    var found: [Pattern.Target] = []
    for link in links {
      guard link.target != nil, extent.contains(link.place) else { return }
      found.append((link.name, link.place - extent.lowerBound))
    }
    let targets = isFurther ? [] : found
    let further = second.map { second in
      (
        hole: second.place - place.lowerBound,
        block: Pattern(
          bytes: second.bytes, holes: Pattern.holes(isFurther ? found.map(\.hole) : []),
          hasChecksum: true, meaning: .group(isFurther ? found : [], nil, nil))
      )
    }
    guard further?.block.isSound != false else { return }
    let holes = Pattern.holes(targets.map(\.hole) + (further.map { [$0.hole] } ?? []))
    guard header.hasAttributes else {
      return try learn(header, at: address, holes: holes, .group(targets, further, nil))
    }
    let meaning = Pattern.Meaning.group(targets, further, marks)
    guard let (block, range) = try file.block(holding: address),
      let pattern = try pattern(header, at: address, holes: holes, meaning)
    else { return }
    if candidates.contains(where: { $0.matches(block, range) }) { return remember(pattern) }
    if candidates.count == Self.candidateCount { candidates.removeFirst() }
    candidates.append(pattern)
  }

  private mutating func learn(
    _ header: ObjectHeader, at address: UInt64, holes: [Range<Int>], _ meaning: Pattern.Meaning
  ) throws(StorageError) {
    if let pattern = try pattern(header, at: address, holes: holes, meaning) { remember(pattern) }
  }

  private func pattern(
    _ header: ObjectHeader, at address: UInt64, holes: [Range<Int>], _ meaning: Pattern.Meaning
  ) throws(StorageError) -> Pattern? {
    guard let (block, range) = try file.block(holding: address), header.extent.count <= range.count
    else { return nil }
    let pattern = Pattern(
      bytes: Array(block[range.prefix(header.extent.count)]), holes: holes,
      hasChecksum: header.hasChecksum, meaning: meaning)
    return pattern.isSound ? pattern : nil
  }

  private mutating func remember(_ pattern: Pattern) {
    if patterns.count < Self.capacity {
      followers.append(patterns.count)
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

/// What the attributes of a group mean.
struct GroupMarks {
  /// What Keras says of the group.
  var keras: KerasGroup?
  /// The names of attributes that mean something else, and of those among them that no other file can hold.
  var unkept: [[UInt8]] = []
  var unheld: [[UInt8]] = []
}

/// A header, and what in it may differ.
private final class Pattern: Sendable {
  /// What the header says, with places counted from its beginning.
  enum Meaning: Sendable {
    case dataset(StoredDataset, DatasetMarks, DatasetHoles)
    /// With the place of the address of a second block, if there is one.
    case group([Target], (hole: Int, block: Pattern)?, GroupMarks?)
  }

  /// A link, and where the address stands that it leads to.
  typealias Target = (name: [UInt8], hole: Int)

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
    self.holes = holes.sorted { $0.lowerBound < $1.lowerBound }
    self.hasChecksum = hasChecksum
    self.meaning = meaning
  }

  static let addressBytes = 8

  /// The holes of addresses.
  static func holes(_ places: [Int]) -> [Range<Int>] { places.map { $0..<$0 + addressBytes } }
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
    let first = range.lowerBound
    func number(at hole: Int) -> UInt64 { block.littleEndian(at: first + hole, as: UInt64.self) }
    guard !hasChecksum || isWhole(block, first) else { return nil }
    switch meaning {
    case .dataset(let dataset, let known, let holes):
      let start = number(at: holes.elements)
      guard start != .max,
        let offset = try? file.offset(of: start, count: dataset.byteCount, "tensor data (H-8)")
      else { return nil }
      var marks = known
      if let hole = holes.number {
        marks.index = Int(truncatingIfNeeded: number(at: hole.lowerBound))
      }
      if let hole = holes.name {
        let text = block[first + hole.lowerBound..<first + hole.upperBound]
        marks.name = Array(text.prefix { $0 != 0 })
      }
      if let hole = holes.spelling, let spelling = known.spelling {
        let whole = StructureCursor(
          block, range.prefix(bytes.count), at: 0, of: file, "object header", "H-20")
        guard hasText(spelling, at: hole.lowerBound, of: whole, heaps) else { return nil }
      }
      return .dataset(dataset.moved(to: address, offset: offset), marks)
    case .group(let targets, let further, let marks):
      var links: [GroupLinks.Link] = []
      links.reserveCapacity(targets.count)
      for (name, hole) in targets {
        let target = number(at: hole)
        guard target != .max else { return nil }
        links.append(GroupLinks.Link(name: name, target: target, place: 0))
      }
      if let further {
        let place = number(at: further.hole)
        guard let more = further.block.links(at: place, in: file, heaps) else { return nil }
        links += more
      }
      return .group(links, marks)
    }
  }

  /// The links of a second block at an address; nil when it isn't like this one.
  private func links(
    at address: UInt64, in file: StructureFile, _ heaps: GlobalHeap
  ) -> [GroupLinks.Link]? {
    guard (try? file.spend(bytes.count + StructureFile.partCost)) != nil,
      let (block, range) = try? file.block(holding: address), matches(block, range),
      case .group(let links, _)? = object(block, range, at: address, in: file, heaps)
    else { return nil }
    return links
  }

  /// Whether the checksum of a header at a place of a block is right.
  private func isWhole(_ block: [UInt8], _ first: Int) -> Bool {
    block.littleEndian(at: first + end, as: UInt32.self)
      == block.checksum(of: first..<first + end)
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
