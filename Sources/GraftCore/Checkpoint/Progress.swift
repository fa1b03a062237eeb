/// How far a long verb has come; the command draws it.
public struct Progress: Sendable {
  /// Called with the bytes (or steps) done since the last call; may be called from any thread.
  public let advance: @Sendable (_ done: Int) -> Void

  /// Makes a progress that calls back.
  public init(_ advance: @escaping @Sendable (_ done: Int) -> Void) { self.advance = advance }

  /// Nobody watches.
  public static let none = Progress { _ in }
}
