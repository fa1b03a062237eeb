internal import CHDF5
internal import Glibc
internal import GraftCore

/// Turns the status codes of libhdf5 into errors about the file being written.
struct HDF5Status {
  let file: String
  var tensor: TensorName?

  /// A handle from a call that opens or creates.
  func handle(_ id: hid_t, _ call: String) throws(StorageError) -> Handle {
    guard id >= 0 else { throw failure(call) }
    return Handle(id)
  }

  /// Nothing, from a call that does.
  func done(_ status: herr_t, _ call: String) throws(StorageError) {
    guard status >= 0 else { throw failure(call) }
  }

  /// The error for a call that failed.
  func failure(_ call: String) -> StorageError {
    let complaint = HDF5Library.lastComplaint()
    return StorageError(
      .system(
        call: systemError(in: complaint) == nil ? "\(call) (\(complaint))" : call,
        errno: systemError(in: complaint) ?? EIO), file: file,
      tensor: tensor)
  }

  /// The error number that libhdf5 quotes when a system call of its own failed, beside addresses and the time that nobody needs.
  private func systemError(in complaint: String) -> Int32? {
    complaint.firstRange(of: "errno = ").flatMap {
      Int32(complaint[$0.upperBound...].prefix { $0.isNumber })
    }
  }
}
