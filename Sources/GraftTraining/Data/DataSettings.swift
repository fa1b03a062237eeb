/// How data files become windows of tokens.
public struct DataSettings: Sendable, Equatable {
  /// The forms that data can have.
  public enum Format: String, Sendable, CaseIterable {
    /// Plain text.
    case text
    /// JSON lines with `messages`.
    case chat
    /// JSON lines with `prompt` and `completion`, or with `text`.
    case completion
  }

  /// The form of all files; nil tells it by content, file by file and line by line.
  public var format: Format?
  /// Whether only completions and the assistant's answers are predicted; what comes before is read.
  public var masksPrompt: Bool
  /// Whether a window holds as many examples as fit, each attending to itself only.
  public var packs: Bool
  /// The name or file of a chat template, instead of the model's own.
  public var chatTemplate: String?

  /// Describes how data is read.
  public init(
    format: Format? = nil, masksPrompt: Bool = false, packs: Bool = false,
    chatTemplate: String? = nil
  ) {
    self.format = format
    self.masksPrompt = masksPrompt
    self.packs = packs
    self.chatTemplate = chatTemplate
  }
}
