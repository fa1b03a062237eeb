internal import GraftCore
internal import Synchronization

/// The members of an archive that hold arrays, and whose checksums were compared already.
final class ArrayMembers: Sendable {
  private let archive: ZipArchive
  private let members: [ZipMember]
  private let checked = Mutex<Set<TensorName>>([])

  /// Names the member of each array.
  init(_ members: [ZipMember], of archive: ZipArchive) {
    self.members = members
    self.archive = archive
  }

  /// Compares a member's checksum unless that was done, or will be: what is unpacked to its end is compared there.
  func check(_ array: Int) throws(StorageError) {
    let member = members[array]
    guard !member.isDeflated, checked.withLock({ $0.insert(member.name).inserted }) else { return }
    try archive.check(member)
  }
}
