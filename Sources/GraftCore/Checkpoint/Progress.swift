/// How far a long verb has come; the command draws it.
public struct Progress: Sendable {
  /// Called with the bytes (or steps) done since the last call; may be called from any thread.
  public let advance: @Sendable (_ done: Int) -> Void
  /// Called with the bytes in all, by verbs that learn it only when they have opened what they are given.
  public let expect: @Sendable (_ total: Int) -> Void

  /// Makes a progress that calls back.
  public init(
    _ advance: @escaping @Sendable (_ done: Int) -> Void,
    expect: @escaping @Sendable (_ total: Int) -> Void = { _ in }
  ) {
    self.advance = advance
    self.expect = expect
  }

  /// Nobody watches.
  public static let none = Progress { _ in }
}
