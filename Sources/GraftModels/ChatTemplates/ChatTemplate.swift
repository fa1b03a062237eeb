/// A model's way to write a conversation as one text.
///
/// The known templates are rendered natively, as the Jinja templates beside the models' weights do; see
/// ``ChatTemplate/recognized(_:marks:)``.
public struct ChatTemplate: Sendable {
  /// The tokens, as text, that templates put at the ends of texts.
  public struct Marks: Sendable, Equatable {
    /// The beginning of a text.
    public var start: String
    /// The end of a text.
    public var end: String

    /// Makes a pair; the empty string where a model has none.
    public init(start: String, end: String) {
      self.start = start
      self.end = end
    }
  }

  /// The name that `--chat-template` takes.
  public let name: String
  let layout: ChatLayout
  /// Whether the template writes the model's end token, which isn't known.
  public let lacksEnd: Bool

  init(name: String, layout: ChatLayout, marks: Marks) {
    self.name = name
    self.layout = layout.resolved(marks)
    lacksEnd = marks.end.isEmpty && layout.writesEnd
  }

  /// The template of a name; nil when there is none.
  public init?(named name: String, marks: Marks) {
    guard let row = ChatLayout.table.first(where: { $0.name == name }) else { return nil }
    self.init(name: name, layout: row.layout, marks: marks)
  }

  /// The names of all known templates.
  public static var names: [String] { ChatLayout.table.map(\.name) }

  /// What ends an answer: the end-of-turn token's text, without white space around it; empty where the template has none.
  public var endOfAnswer: String { Self.trimmed(String(markAfterAnswer)) }

  /// What stands after an answer and is learned with it; the line break after it isn't: nobody generates on.
  private var markAfterAnswer: Substring {
    let suffix = layout.assistant.suffix
    return suffix.lastIndex { !$0.isWhitespace }.map { suffix[...$0] } ?? ""
  }

  // MARK: - Rendering

  /// A conversation as text in which the assistant's answers, with the token that ends each, are targets.
  ///
  /// - Parameter continues: Whether the text ends where the assistant's next answer begins.
  /// - Throws: ``ConversationError`` when the template has no place for a message.
  public func render(
    _ messages: [ChatMessage], continues: Bool = false
  ) throws(ConversationError) -> [MarkedText] {
    guard let last = messages.last else {
      throw ConversationError(expected: "at least one message", found: "none")
    }
    var turns = try turns(messages)
    if continues {
      turns.append([MarkedText(layout.opening ?? layout.assistant.prefix, isTarget: false)])
    } else {
      turns[turns.count - 1].append(MarkedText(layout.end, isTarget: last.role == .assistant))
    }
    let separator = MarkedText(layout.separator, isTarget: false)
    let pieces = [MarkedText(layout.start, isTarget: false)] + turns.joined(separator: [separator])
    return pieces.filter { !$0.text.isEmpty }
  }

  private func turns(
    _ messages: [ChatMessage]
  ) throws(ConversationError) -> [[MarkedText]] {
    var rest = messages[...]
    let leads = messages[0].role == .system
    let system = leads ? rest.removeFirst().content : layout.defaultSystem
    var result: [[MarkedText]] = []
    var asides: [Int: (turn: ChatLayout.Turn, text: String)] = [:]
    if let system, !(system.isEmpty && layout.omitsEmptySystem) {
      switch layout.system {
      case .turn(let turn), .preface(let turn), .heading(let turn, later: _):
        result.append(plain(turn, trimsMessages ? Self.trimmed(system) : system))
      case .firstUser(let turn):
        guard rest.first?.role == .user else {
          throw ConversationError(
            expected: "a user message after the system message",
            found: rest.first?.role.rawValue ?? "nothing")
        }
        asides[rest.startIndex] = (turn, system)
      case .lastUser(let turn):
        guard rest.last?.role == .user else {
          throw ConversationError(
            expected: "no system message, or one in a conversation that ends with the user",
            found: "a system message, for which \(name) has no place")
        }
        asides[rest.endIndex - 1] = (turn, system)
      case .refused:
        throw ConversationError(
          expected: "no system message", found: "one, for which \(name) has no place")
      }
    }
    for index in rest.indices {
      let message = rest[index]
      if layout.alternates {
        let due: ChatMessage.Role = (index - rest.startIndex).isMultiple(of: 2) ? .user : .assistant
        guard message.role == due else {
          throw ConversationError(
            expected: "user and assistant by turns",
            found: "\(message.role.rawValue) as message \(index + 1)")
        }
      }
      if message.role == .system, !takesLateSystem {
        throw ConversationError(
          expected: "a system message at the beginning only",
          found: "one as message \(index + 1)")
      }
      result.append(turn(messages, index, aside: asides[index]))
    }
    return result
  }

  private func turn(
    _ messages: [ChatMessage], _ index: Int, aside: (turn: ChatLayout.Turn, text: String)?
  ) -> [MarkedText] {
    let message = messages[index]
    let text = trimsMessages ? Self.trimmed(message.content) : message.content
    switch message.role {
    case .system:
      switch layout.system {
      case .turn(let turn), .heading(_, later: let turn): return plain(turn, text)
      // Refused before.
      case .preface, .firstUser, .lastUser, .refused: return []
      }
    case .user:
      var text = text
      if let aside { text = aside.turn.prefix + aside.text + aside.turn.suffix + text }
      return plain(layout.user, trimsTurns ? Self.trimmed(text) : text)
    case .assistant:
      let answer = layout.keepsLastReasoning ? Reasoning.answer(messages, index) : text
      let (turn, mark) = (layout.assistant, markAfterAnswer)
      return [
        MarkedText(turn.prefix, isTarget: false),
        MarkedText((trimsTurns ? Self.trimmed(answer) : answer) + mark, isTarget: true),
        MarkedText(String(turn.suffix.dropFirst(mark.count)), isTarget: false),
      ]
    }
  }

  private var takesLateSystem: Bool {
    switch layout.system {
    case .turn, .heading: true
    case .preface, .firstUser, .lastUser, .refused: false
    }
  }

  private func plain(_ turn: ChatLayout.Turn, _ text: String) -> [MarkedText] {
    [MarkedText(turn.prefix + text + turn.suffix, isTarget: false)]
  }

  // MARK: - White space

  private var trimsMessages: Bool { layout.trimming == .messages }
  private var trimsTurns: Bool { layout.trimming == .turns }

  /// A text without the white space around it, as Python's `str.strip` sees it.
  static func trimmed(_ text: String) -> String {
    func isSpace(_ scalar: Unicode.Scalar) -> Bool {
      scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
    }
    let scalars = text.unicodeScalars.drop(while: isSpace)
    guard let last = scalars.lastIndex(where: { !isSpace($0) }) else { return "" }
    return String(scalars[...last])
  }
}
