package import GraftCore

/// A ZIP archive, opened: the central directory is read, and every member found where it says; no member is read.
///
/// The format and its numbered rules are in `Formats/zip/SPEC.md`. Nothing is ever unpacked into a directory.
package struct ZipArchive: Sendable {
  /// The file.
  package let file: InputFile
  /// The files inside, in the order of the central directory; folders are left out.
  package let members: [ZipMember]
  /// Finds the members by their names.
  private let names: NameTable
  /// The deflated members that bytes are kept of.
  let recent = RecentMembers()

  /// Opens and validates an archive.
  ///
  /// - Throws: ``StorageError`` with the broken rule and the byte.
  package init(_ file: InputFile, limits: FormatLimits = .standard) throws(StorageError) {
    let end = try ZipEnd(of: file, limits: limits)
    let (entries, entryNames) = try ZipEntry.all(of: end, in: file)
    let isInOrder = entries.indices.dropFirst().allSatisfy {
      entries[$0 - 1].headerOffset <= entries[$0].headerOffset
    }
    let order =
      isInOrder
      ? Array(entries.indices)
      : entries.indices.sorted { entries[$0].headerOffset < entries[$1].headerOffset }
    guard order.first.map({ entries[$0].headerOffset }) ?? end.directory.lowerBound == 0 else {
      throw StorageError(
        .refused(policy: "bytes before the first member (zip Z-12)", found: "another file's"),
        file: file.path, offset: 0)
    }
    // Reading the headers in the order of the file is what disks like best.
    var window = FileWindow(file)
    var found: [ZipMember] = []
    found.reserveCapacity(entries.count)
    for (rank, place) in order.enumerated() {
      let next =
        rank + 1 < order.count
        ? entries[order[rank + 1]].headerOffset : end.directory.lowerBound
      found.append(try ZipMember(entries[place], before: next, through: &window))
    }
    if !isInOrder {
      var ranks = [Int](repeating: 0, count: order.count)
      for (rank, place) in order.enumerated() { ranks[place] = rank }
      found = ranks.map { found[$0] }
    }
    self.file = file
    guard entries.contains(where: \.isFolder) else {
      (members, names) = (found, entryNames)
      return
    }
    members = zip(entries, found).compactMap { $0.isFolder ? nil : $1 }
    var names = NameTable(reserving: members.count)
    for (position, member) in members.enumerated() {
      names.add(NameTable.hash(member.name.utf8), at: position)
    }
    self.names = names
  }

  /// A member by its name.
  package subscript(_ name: TensorName) -> ZipMember? { position(of: name).map { members[$0] } }

  /// The position of a member by its name.
  package func position(of name: TensorName) -> Int? { position(of: name.utf8, near: 0) }

  /// The position of a member by the bytes of its name.
  ///
  /// - Parameter guess: Where it is found without a search, if it stands there.
  func position(of name: [UInt8], near guess: Int) -> Int? {
    if guess < members.count, members[guess].name.utf8.hasSameBytes(as: name) { return guess }
    return names.position(NameTable.hash(name)) { members[$0].name.utf8.hasSameBytes(as: name) }
  }

  /// What a member holds, its checksum compared.
  ///
  /// - Throws: ``StorageError``; also above `limit` bytes.
  package func contents(
    of member: ZipMember, atMost limit: Int
  ) throws(StorageError) -> [UInt8] {
    guard member.byteCount <= limit else {
      throw StorageError(
        .limitExceeded(
          limit: "bytes of \(member.name)", maximum: limit, found: "\(member.byteCount)"),
        file: file.path, offset: member.stored.lowerBound)
    }
    guard member.isDeflated else {
      let bytes = try file.bytes(at: member.stored.lowerBound, count: member.byteCount)
      try member.compare(bytes.withRawBytes { Checksum(of: $0) }, in: file)
      return bytes
    }
    let memory = try Memory(byteCount: member.byteCount)
    let inflation = try Inflation(member, in: file)
    try inflation.fill(memory)
    try inflation.checkEnd()
    try member.compare(Checksum(of: memory.bytes), in: file)
    let unpacked = memory.bytes
    // Safety: RawSpan checks the bounds, and every bit pattern is a byte.
    return (0..<member.byteCount).map {
      unsafe unpacked.unsafeLoad(fromByteOffset: $0, as: UInt8.self)
    }
  }

  /// Reads a member whole, by tiles, and compares its checksum.
  ///
  /// - Throws: ``StorageError`` where the bytes aren't those that were packed.
  package func check(_ member: ZipMember) throws(StorageError) {
    try read(member) { _, _ in }
  }

  /// Writes what a member holds to a file, by tiles, and compares its checksum.
  ///
  /// - Throws: ``StorageError`` where the bytes aren't those that were packed, or can't be written.
  package func unpack(_ member: ZipMember, to output: OutputFile) throws(StorageError) {
    try output.reserve(byteCount: member.byteCount)
    try read(member) { (bytes: RawSpan, offset: Int) throws(StorageError) in
      try output.write(bytes, at: offset)
    }
  }

  private func read(
    _ member: ZipMember, _ visit: (RawSpan, Int) throws(StorageError) -> Void
  ) throws(StorageError) {
    let inflation = member.isDeflated ? try Inflation(member, in: file) : nil
    var checksum = Checksum()
    var tile = try Memory(byteCount: min(Self.tileByteCount, member.byteCount))
    for start in stride(from: 0, to: member.byteCount, by: Self.tileByteCount) {
      let count = min(Self.tileByteCount, member.byteCount - start)
      if count < tile.byteCount { tile = try Memory(byteCount: count) }
      if let inflation {
        try inflation.fill(tile)
      } else {
        let (file, place) = (file, member.stored.lowerBound + start)
        try tile.withMutableBytes { (bytes: inout MutableRawSpan) throws(StorageError) in
          try file.read(at: place, into: &bytes)
        }
      }
      checksum.combine(tile.bytes)
      try visit(tile.bytes, start)
    }
    try inflation?.checkEnd()
    try member.compare(checksum, in: file)
  }

  private static let tileByteCount = 1 << 20
}
