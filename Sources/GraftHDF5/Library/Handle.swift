internal import CHDF5
internal import GraftCore
internal import Synchronization

/// An identifier of libhdf5 with one owner; it closes when the owner goes.
///
/// Lives only inside ``HDF5Library/enter(_:)``; what outlives a visit is an ``OpenFile``.
struct Handle: ~Copyable {
  let id: hid_t

  /// Takes over an identifier.
  init(_ id: hid_t) { self.id = id }

  deinit { H5Idec_ref(id) }
}

/// A file of libhdf5 that stays open between visits; everything opened in it closes with it.
final class OpenFile: Sendable {
  let id: hid_t
  private let isOpen = Atomic(true)

  /// Takes over an identifier.
  init(_ id: hid_t) { self.id = id }

  deinit { _ = try? close(HDF5Status(file: "")) }

  /// Closes the file, once, and tells whether its last bytes could be written.
  func close(_ status: HDF5Status) throws(StorageError) {
    guard isOpen.exchange(false, ordering: .sequentiallyConsistent) else { return }
    try HDF5Library.enter { () throws(StorageError) in
      try status.done(H5Fclose(id), "H5Fclose")
    }
  }
}

/// The access properties of every file: what was opened in it closes with it, and no locks are taken.
func makeAccessProperties(_ status: HDF5Status) throws(StorageError) -> Handle {
  let access = try status.handle(H5Pcreate(graft_h5p_file_access()), "H5Pcreate")
  try status.done(H5Pset_fclose_degree(access.id, H5F_CLOSE_STRONG), "H5Pset_fclose_degree")
  try status.done(H5Pset_file_locking(access.id, false, true), "H5Pset_file_locking")
  return access
}
