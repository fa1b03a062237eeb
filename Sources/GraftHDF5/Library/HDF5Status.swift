internal import CHDF5
internal import GraftCore

/// Turns the status codes of libhdf5 into errors about one file.
struct HDF5Status {
  /// What the file is open for.
  enum Purpose { case reading, writing }

  let file: String
  let purpose: Purpose
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
    switch purpose {
    case .reading:
      return StorageError(
        .malformed(rule: "HDF5 H-3", expected: "what \(call) can read", found: complaint),
        file: file, tensor: tensor)
    case .writing:
      return StorageError(
        .system(call: "\(call) (\(complaint))", errno: systemError(in: complaint)), file: file,
        tensor: tensor)
    }
  }

  /// The error for a file that breaks a rule of the specification.
  func malformed(_ rule: String, expected: String, found: String) -> StorageError {
    StorageError(
      .malformed(rule: "HDF5 \(rule)", expected: expected, found: found), file: file,
      tensor: tensor)
  }

  /// The error number that libhdf5 quotes when a system call of its own failed; EIO when it quotes none.
  private func systemError(in complaint: String) -> Int32 {
    let inputOutputError: Int32 = 5
    guard let quoted = complaint.firstRange(of: "errno = ") else { return inputOutputError }
    return Int32(complaint[quoted.upperBound...].prefix { $0.isNumber }) ?? inputOutputError
  }
}
