internal import GraftCore

/// The members of an archive that hold arrays.
final class ArrayMembers: Sendable {
  private let archive: ZipArchive
  private let members: [ZipMember]
  private let checked = CheckedRecords()

  /// Names the member of each array.
  init(_ members: [ZipMember], of archive: ZipArchive) {
    self.members = members
    self.archive = archive
  }

  /// Compares the checksum of the member that holds an array, once for each.
  func check(_ array: Int) throws(StorageError) { try checked.check(members[array], of: archive) }
}
