internal import CZstd
internal import Synchronization

/// The registered filter 32015: zstd frames.
///
/// Contexts are kept, for making one costs as much as a small chunk.
enum Zstd {
  /// The content of the frames; nil when they are damaged or hold more than the limit.
  static func decode(_ bytes: [UInt8], limit: Int) -> [UInt8]? {
    let context = decoders.take()
    defer { decoders.give(context) }
    return unsafe Filter.fill(upTo: limit) { target in
      let count = unsafe ZSTD_decompressDCtx(
        context.pointer, target, limit, bytes, bytes.count)
      return ZSTD_isError(count) == 0 ? count : nil
    }
  }

  /// A frame with the bytes; nil when the level or the memory isn't there.
  static func encode(_ bytes: [UInt8], level: Int32) -> [UInt8]? {
    let limit = ZSTD_compressBound(bytes.count)
    let context = encoders.take()
    defer { encoders.give(context) }
    return unsafe Filter.fill(upTo: limit) { target in
      let count = unsafe ZSTD_compressCCtx(
        context.pointer, target, limit, bytes, bytes.count, level)
      return ZSTD_isError(count) == 0 ? count : nil
    }
  }

  private static let decoders = unsafe ContextPool { unsafe ZSTD_createDCtx() }
  private static let encoders = unsafe ContextPool { unsafe ZSTD_createCCtx() }
}

/// Contexts of the library that nobody uses at the moment; as many as were ever used at once.
private final class ContextPool: Sendable {
  /// A context, used by one thread at a time.
  @safe struct Context: @unchecked Sendable {
    let pointer: OpaquePointer?
  }

  private let make: @Sendable () -> Context
  private let idle = Mutex<[Context]>([])

  init(_ make: @escaping @Sendable () -> OpaquePointer?) {
    self.make = { unsafe Context(pointer: make()) }
  }

  func take() -> Context { idle.withLock { $0.popLast() } ?? make() }

  func give(_ context: Context) {
    guard unsafe context.pointer != nil else { return }
    idle.withLock { $0.append(context) }
  }
}
