internal import CHDF5
internal import Synchronization

/// libhdf5, entered by one thread at a time, and only to write: no file that it didn't make itself reaches it.
///
/// Its state is global and whether it guards it depends on how it was built, so every call, the closing of handles
/// included, happens inside ``enter(_:)``. The library's data pipeline isn't used: chunks go in encoded, outside the gate.
enum HDF5Library {
  private static let gate = Mutex<Void>(())

  /// The default for any property list.
  static let defaults: hid_t = 0

  /// Runs `body` while no other thread is in the library.
  static func enter<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
    gate._unsafeLock()
    defer { gate._unsafeUnlock() }
    _ = isPrepared
    // A build with threads prints errors for each thread that hasn't said otherwise.
    _ = H5Eset_auto2(defaults, nil, nil)
    return try body()
  }

  /// Opens the library: without plugins, without clean-up at exit, and with zstd's filter known by number.
  private static let isPrepared: Bool = {
    H5dont_atexit()
    guard H5open() >= 0 else { return false }
    H5PLset_loading_state(0)
    var zstd = unsafe H5Z_class2_t(
      version: H5Z_CLASS_T_VERS, id: Filter.zstdNumber, encoder_present: 1, decoder_present: 1,
      name: nil, can_apply: nil, set_local: nil,
      // Never called by this module: its chunks bypass the pipeline. Zero means failure.
      filter: { _, _, _, _, _, _ in 0 })
    return unsafe H5Zregister(&zstd) >= 0
  }()

  /// What the library says of its last failure: the innermost function and its complaint.
  static func lastComplaint() -> String {
    var text = "no detail"
    _ = unsafe withUnsafeMutablePointer(to: &text) { pointer in
      unsafe H5Ewalk2(
        defaults, H5E_WALK_UPWARD,
        { position, entry, context in
          guard position == 0, let entry = unsafe entry?.pointee else { return 0 }
          let function = unsafe entry.func_name.map { unsafe String(cString: $0) } ?? "libhdf5"
          let complaint = unsafe entry.desc.map { unsafe String(cString: $0) } ?? "failed"
          unsafe context?.assumingMemoryBound(to: String.self).pointee = "\(function): \(complaint)"
          return 0
        }, pointer)
    }
    _ = H5Eclear2(defaults)
    return text
  }
}
