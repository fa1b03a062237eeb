package import GraftCore
internal import Synchronization

/// The members of an archive whose checksums were compared already.
package final class CheckedRecords: Sendable {
  private let names = Mutex<Set<TensorName>>([])

  /// None yet.
  package init() {}

  /// Compares a member's checksum unless that was done, or will be: what is unpacked to its end is compared there.
  package func check(_ member: ZipMember, of archive: ZipArchive) throws(StorageError) {
    guard !member.isDeflated, names.withLock({ $0.insert(member.name).inserted }) else { return }
    try archive.check(member)
  }
}
