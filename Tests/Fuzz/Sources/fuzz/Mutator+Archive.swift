extension Mutator {
  /// Changes what a member of an archive holds by what its name says it is, or which members there are, and packs all anew.
  mutating func archiveMutant(of bytes: [UInt8]) -> [UInt8] {
    if bytes.first == 0x80 { return pickleMutant(of: bytes) }
    guard next(5) > 0 else { return numberMutant(of: bytes) }
    guard var archive = Archive(bytes), !archive.members.isEmpty else {
      return generalMutant(of: bytes, atMost: maximum)
    }
    let chosen = next(archive.members.count)
    // Pickles decide over all other members.
    let pickle = archive.members.firstIndex { $0.isPickle }
    switch next(8) {
    case 0: archive.members.insert(archive.members[chosen], at: next(archive.members.count + 1))
    case 1: archive.members.remove(at: chosen)
    case 2: archive.members.swapAt(chosen, next(archive.members.count))
    case 3:
      archive.members[chosen].name = generalMutant(of: archive.members[chosen].name, atMost: 64)
    case 4: deflate(&archive.members[chosen])
    case 5: change(&archive.members[chosen])
    default: change(&archive.members[pickle ?? chosen])
    }
    return archive.bytes
  }

  private mutating func change(_ member: inout Archive.Member) {
    guard let contents = member.contents else {
      member.stored = numberMutant(of: member.stored)
      return
    }
    if member.isPickle {
      member.stored = pickleMutant(of: contents)
    } else if member.isArray {
      member.stored = arrayMutant(of: contents)
    } else if member.isText {
      member.stored = textMutant(of: contents)
    } else {
      member.stored =
        next(2) > 0
        ? numberMutant(of: contents) : generalMutant(of: contents, atMost: contents.count + 64)
    }
  }

  /// Packs a member in deflate's blocks of plain bytes.
  private func deflate(_ member: inout Archive.Member) {
    guard let contents = member.contents, contents.count < 1 << 16 else { return }
    member.packed = (contents.count, Archive.checksum(of: contents))
    member.method = 8
    member.stored =
      [1] + contents.count.littleEndian(2) + (~contents.count).littleEndian(2) + contents
  }
}
