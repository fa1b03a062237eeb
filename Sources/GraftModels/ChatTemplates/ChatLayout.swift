/// How a chat template puts a conversation into one text.
///
/// In all texts but the default system message `{bos}` and `{eos}` stand for the model's tokens at the beginning and the end of a text.
struct ChatLayout: Sendable {
  /// What stands before and after the content of a message.
  struct Turn: Sendable, Equatable {
    var prefix: String
    var suffix: String

    init(_ prefix: String, _ suffix: String) {
      self.prefix = prefix
      self.suffix = suffix
    }
  }

  /// Where a system message goes.
  enum System: Sendable {
    /// Into a turn of its own.
    case turn(Turn)
    /// Into a turn of its own at the beginning, and nowhere else.
    case preface(Turn)
    /// Into a turn at the beginning, always there; later ones look like the other turns.
    case heading(Turn, later: Turn)
    /// Into the first user's turn, before what the user says.
    case firstUser(Turn)
    /// Into the last turn, which must be the user's.
    case lastUser(Turn)
    /// Nowhere.
    case refused

    /// The turns that it may go into.
    var turns: [Turn] {
      switch self {
      case .turn(let it), .preface(let it), .firstUser(let it), .lastUser(let it): [it]
      case .heading(let it, let later): [it, later]
      case .refused: []
      }
    }
  }

  /// What is done to the white space around a message.
  enum Trimming: Sendable {
    case none, messages
    /// The whole turn, the system message in it included.
    case turns
  }

  var start = ""
  var system: System
  var user: Turn
  var assistant: Turn
  /// What begins an answer that is asked for; nil for the assistant's prefix.
  var opening: String?
  /// Between turns.
  var separator = ""
  /// After the last turn, when nothing is to follow.
  var end = ""
  /// What the model is told where the conversation has no system message.
  var defaultSystem: String?
  var trimming = Trimming.none
  /// Whether user and assistant must take turns.
  var alternates = false
  /// Whether an empty system message is left out.
  var omitsEmptySystem = false
  /// Whether reasoning stands in the answer that follows the last question, and in no other (Qwen3).
  var keepsLastReasoning = false

  /// A layout with one pattern for all turns; `{role}` stands for the role.
  init(turn prefix: String, _ suffix: String, assistant: String = "assistant") {
    func turn(_ role: String) -> Turn {
      Turn(prefix.replacing("{role}", with: role), suffix)
    }
    system = .turn(turn("system"))
    user = turn("user")
    self.assistant = turn(assistant)
  }

  init(system: System, user: Turn, assistant: Turn) {
    self.system = system
    self.user = user
    self.assistant = assistant
  }

  /// A copy with some of its properties set.
  func with(_ change: (inout ChatLayout) -> Void) -> ChatLayout {
    var result = self
    change(&result)
    return result
  }

  /// Whether the model's token at the end of a text stands somewhere.
  var writesEnd: Bool {
    let turns = [user, assistant] + system.turns
    return ([start, separator, end] + turns.flatMap { [$0.prefix, $0.suffix] }).contains {
      $0.contains("{eos}")
    }
  }

  /// A copy in which the marks stand for themselves.
  func resolved(_ marks: ChatTemplate.Marks) -> ChatLayout {
    func text(_ text: String) -> String {
      text.replacing("{bos}", with: marks.start).replacing("{eos}", with: marks.end)
    }
    func turn(_ turn: Turn) -> Turn { Turn(text(turn.prefix), text(turn.suffix)) }
    return with {
      $0.start = text(start)
      $0.user = turn(user)
      $0.assistant = turn(assistant)
      $0.separator = text(separator)
      $0.end = text(end)
      switch system {
      case .turn(let it): $0.system = .turn(turn(it))
      case .preface(let it): $0.system = .preface(turn(it))
      case .heading(let it, let later): $0.system = .heading(turn(it), later: turn(later))
      case .firstUser(let it): $0.system = .firstUser(turn(it))
      case .lastUser(let it): $0.system = .lastUser(turn(it))
      case .refused: break
      }
    }
  }
}
