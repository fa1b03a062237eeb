package import GraftCore
internal import Synchronization

/// A deflated member whose bytes can be read at any offset, at the price of unpacking what lies before.
///
/// The bytes unpacked last stay: readers that go forward, also several side by side, unpack each byte once. Going back
/// further begins anew. An archive keeps those of few members: ``RecentMembers``.
package final class DeflatedMember: Sendable {
  let member: ZipMember
  private let file: InputFile
  private let recent: RecentMembers
  private let state: Mutex<UnpackedBlocks>

  /// Begins nothing yet.
  package init(_ member: ZipMember, in archive: ZipArchive) {
    self.member = member
    file = archive.file
    recent = archive.recent
    state = Mutex(UnpackedBlocks(member, in: archive.file))
  }

  /// Fills `buffer` with the bytes from `offset` on.
  ///
  /// - Throws: ``StorageError`` where the stream is damaged.
  package func read(at offset: Int, into buffer: inout MutableRawSpan) throws(StorageError) {
    var done = 0
    let wanted = buffer.byteCount
    while done < wanted {
      let place = offset + done
      let block = try block(at: place)
      let start = place - block.start
      let count = min(wanted - done, block.count - start)
      buffer.overwrite(at: done, with: block.memory.bytes.extracting(start..<start + count))
      done += count
    }
  }

  /// Forgets what was unpacked.
  func release() { state.withLock { $0.removeAll() } }

  private func block(at offset: Int) throws(StorageError) -> UnpackedBlock {
    let found = state.withLock { $0.block(at: offset) }
    recent.note(self)
    return try found.get()
  }
}

/// The members of an archive that were read last; what was unpacked of the others is forgotten, as there may be thousands.
final class RecentMembers: Sendable {
  private let members = Mutex<[Reference]>([])

  private struct Reference: Sendable {
    weak let member: DeflatedMember?
  }

  /// As many as may be read side by side without beginning anew.
  private static let capacity = 4

  /// Notes that a member was read.
  func note(_ member: DeflatedMember) {
    let oldest = members.withLock { members -> DeflatedMember? in
      guard members.last?.member !== member else { return nil }
      members.removeAll { $0.member === member || $0.member == nil }
      members.append(Reference(member: member))
      return members.count > Self.capacity ? members.removeFirst().member : nil
    }
    oldest?.release()
  }
}

/// A run of unpacked bytes; never written again once it is handed out.
private struct UnpackedBlock: Sendable {
  let start: Int
  let count: Int
  let memory: Memory
}

/// The last blocks of a stream, and the stream itself.
private struct UnpackedBlocks: Sendable {
  private let member: ZipMember
  private let file: InputFile
  private var inflation: Inflation?
  private var blocks: [UnpackedBlock] = []
  private var checksum = Checksum()

  private static let blockByteCount = 1 << 20
  private static let blockCount = 8

  init(_ member: ZipMember, in file: InputFile) {
    self.member = member
    self.file = file
  }

  mutating func removeAll() {
    inflation = nil
    blocks = []
    checksum = Checksum()
  }

  /// The block that holds a byte.
  mutating func block(at offset: Int) -> Result<UnpackedBlock, StorageError> {
    if let first = blocks.first, offset < first.start { removeAll() }
    do throws(StorageError) {
      while true {
        for block in blocks where offset < block.start + block.count { return .success(block) }
        try unpack()
      }
    } catch {
      removeAll()
      return .failure(error)
    }
  }

  /// Unpacks one more block.
  private mutating func unpack() throws(StorageError) {
    let stream: Inflation
    if let inflation {
      stream = inflation
    } else {
      stream = try Inflation(member, in: file)
      inflation = stream
    }
    let start = stream.position
    let count = min(Self.blockByteCount, member.byteCount - start)
    precondition(count > 0, "a read lies inside its member")
    let memory = try Memory(byteCount: count)
    try stream.fill(memory)
    // Every byte comes by here in order, so that whoever reads to the end has compared the checksum.
    checksum.combine(memory.bytes)
    if start + count == member.byteCount {
      try stream.checkEnd()
      try member.compare(checksum, in: file)
    }
    if blocks.count == Self.blockCount { blocks.removeFirst() }
    blocks.append(UnpackedBlock(start: start, count: count, memory: memory))
  }
}
