internal import GraftCore

/// Headers that are like one before: the same bytes but for where the elements or links are, and for the number of a tensor.
///
/// The layers of a model repeat a few headers again and again. What the same bytes mean is known from the first one, which was read
/// part by part, so only what differs is read; whatever isn't quite the same is left to ``ObjectHeader``.
struct HeaderPatterns {
  /// What a header says.
  enum Object {
    case dataset(StoredDataset, index: Int?)
    case group([GroupLinks.Link])
  }

  private let file: StructureFile
  private var patterns: [Pattern] = []
  private var oldest = 0
  /// Where the search begins: patterns come in turn, as the tensors of layers do.
  private var next = 0

  private static let capacity = 16

  init(_ file: StructureFile) { self.file = file }

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
      return pattern.object(block, range, at: address, in: file)
    }
    return nil
  }

  // MARK: - Learning

  /// Remembers the header of a dataset in one piece of the file.
  ///
  /// - Parameter number: where in the file the number of the tensor stands; nil where it has none.
  mutating func learn(
    _ header: ObjectHeader, at address: UInt64, _ dataset: StoredDataset, index: Int?,
    number: Range<Int>?
  ) throws(StorageError) {
    guard case .contiguous = dataset.storage, let place = header.place,
      let elements = try DataLayout.placeOfAddress(header.body(.layout))
    else { return }
    let isHere =
      number.map { number in
        header.messages.contains { message in
          guard message.kind == .attribute else { return false }
          let body = header.body(of: message)
          return number.lowerBound >= body.offset
            && number.upperBound <= body.offset + body.remaining
        }
      } ?? false
    let own = isHere ? number.map { $0.lowerBound - place.lowerBound } : nil
    let start = elements - place.lowerBound
    try learn(
      header, at: address, holes: [start] + (own.map { [$0] } ?? []),
      .dataset(dataset, index: index, place: start, number: own))
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
    try learn(header, at: address, holes: targets.map(\.hole), .group(targets))
  }

  private mutating func learn(
    _ header: ObjectHeader, at address: UInt64, holes: [Int], _ meaning: Pattern.Meaning
  ) throws(StorageError) {
    guard let place = header.place, let (block, range) = try file.block(holding: address),
      place.count <= range.count
    else { return }
    let pattern = Pattern(
      bytes: Array(block[range.prefix(place.count)]), holes: holes.sorted(),
      hasChecksum: header.hasChecksum, meaning: meaning)
    guard pattern.isSound else { return }
    if patterns.count < Self.capacity {
      patterns.append(pattern)
    } else {
      patterns[oldest] = pattern
      oldest = (oldest + 1) % Self.capacity
    }
  }
}

/// A header, and what in it may differ.
private final class Pattern: Sendable {
  /// What the header says; holes are eight bytes each, counted from its beginning.
  enum Meaning: Sendable {
    case dataset(StoredDataset, index: Int?, place: Int, number: Int?)
    case group([(name: [UInt8], hole: Int)])
  }

  let bytes: [UInt8]
  let holes: [Int]
  let hasChecksum: Bool
  let meaning: Meaning

  init(bytes: [UInt8], holes: [Int], hasChecksum: Bool, meaning: Meaning) {
    self.bytes = bytes
    self.holes = holes
    self.hasChecksum = hasChecksum
    self.meaning = meaning
  }

  private static let holeBytes = 8
  private static let checksumBytes = 4

  /// The bytes before the checksum.
  private var end: Int { bytes.count - (hasChecksum ? Self.checksumBytes : 0) }

  /// Whether the holes are apart from each other and the checksum.
  var isSound: Bool {
    var place = 0
    for hole in holes {
      guard hole >= place else { return false }
      place = hole + Self.holeBytes
    }
    return place <= end
  }

  /// Whether a block has these bytes at the beginning of a range, but for the holes and the checksum.
  func matches(_ block: [UInt8], _ range: Range<Int>) -> Bool {
    guard bytes.count <= range.count else { return false }
    var place = 0
    for hole in holes {
      guard isSame(block, range.lowerBound, place..<hole) else { return false }
      place = hole + Self.holeBytes
    }
    return isSame(block, range.lowerBound, place..<end)
  }

  private func isSame(_ block: [UInt8], _ start: Int, _ part: Range<Int>) -> Bool {
    bytes.hasSameBytes(in: part, as: block, from: start + part.lowerBound)
  }

  /// What a header with these bytes says; nil where a place isn't in the file, or the checksum is wrong.
  func object(
    _ block: [UInt8], _ range: Range<Int>, at address: UInt64, in file: StructureFile
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
    case .dataset(let dataset, let index, let place, let number):
      guard let start = self.number(at: place, of: whole), start != .max,
        let offset = try? file.offset(of: start, count: dataset.byteCount, "tensor data (H-8)")
      else { return nil }
      let own = number.flatMap { self.number(at: $0, of: whole) }
      return .dataset(
        dataset.moved(to: address, offset: offset),
        index: own.map { Int(truncatingIfNeeded: $0) } ?? index)
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
    return try? cursor.number(Self.holeBytes)
  }
}
