/// One turn of a conversation.
public struct ChatMessage: Sendable, Equatable {
  /// Whose turn it is.
  public enum Role: String, Sendable, CaseIterable {
    case system, user, assistant
  }

  /// Whose turn it is.
  public var role: Role
  /// What is said.
  public var content: String

  /// Makes a turn.
  public init(_ role: Role, _ content: String) {
    self.role = role
    self.content = content
  }
}

/// Why a template has no place for a conversation.
public struct ConversationError: Error, Equatable {
  /// What the template asks for.
  public var expected: String
  /// What the conversation has instead.
  public var found: String

  /// Makes an error.
  public init(expected: String, found: String) {
    self.expected = expected
    self.found = found
  }
}
