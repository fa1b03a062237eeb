internal import COneDNN
internal import GraftCore
internal import Synchronization

/// The library's products, for one thread at a time: what it makes of each form, and how it runs.
///
/// Safety: whoever holds one sees to it that a single thread uses it.
@safe final class OneDNN: @unchecked Sendable {
  private let context: OpaquePointer

  /// Opens the library; nil when it isn't there.
  init?() {
    let room = UnsafeMutableRawPointer.allocate(byteCount: Int(graft_onednn_size()), alignment: 64)
    guard unsafe graft_onednn_open(OpaquePointer(room)) != 0 else {
      unsafe room.deallocate()
      return nil
    }
    unsafe context = OpaquePointer(room)
  }

  deinit {
    unsafe graft_onednn_close(context)
    unsafe UnsafeMutableRawPointer(context).deallocate()
  }

  /// Makes what a product needs, once, and gives the bytes of its scratch; nil when the library can't do it.
  ///
  /// - Throws: ``StorageError`` without memory.
  func prepare(_ form: ProductForm) throws(StorageError) -> Int? {
    var primitive = form.primitive
    return try Self.scratch(unsafe graft_onednn_prepare(context, &primitive))
  }

  /// c = a·b (+ c) for the form that was prepared last; false on failure.
  func run(
    _ a: Matrix, _ b: Matrix, into c: Matrix, scratch: UnsafeMutableRawPointer?
  ) -> Bool {
    unsafe graft_onednn_run(context, a.start, b.start, c.start, scratch) != 0
  }

  private static func scratch(_ answer: Int64) throws(StorageError) -> Int? {
    if answer == GRAFT_ONEDNN_NO_MEMORY { throw .noMemory(for: "a product of matrices") }
    return answer < 0 ? nil : Int(answer)
  }

  // MARK: - Before anything is made

  private struct Plans {
    var library: OneDNN?
    var scratch: [ProductForm: Int] = [:]
  }
  private static let plans = Mutex(Plans())

  /// The bytes of scratch that a product will need; 0 when the library can't do it, or isn't there.
  static func scratchByteCount(of form: ProductForm) -> Int {
    plans.withLock { plans in
      if let known = plans.scratch[form] { return known }
      if plans.library == nil { plans.library = OneDNN() }
      var primitive = form.primitive
      let answer = plans.library.map { unsafe graft_onednn_scratch($0.context, &primitive) }
      let count = max(0, Int(answer ?? 0))
      plans.scratch[form] = count
      return count
    }
  }
}
