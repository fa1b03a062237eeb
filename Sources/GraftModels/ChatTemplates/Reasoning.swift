/// What Qwen3's template makes of an answer with its reasoning between `<think>` and `</think>`.
enum Reasoning {
  /// The text of an answer: with reasoning after the last question where it ends the conversation or has any, without it before.
  static func answer(_ messages: [ChatMessage], _ index: Int) -> String {
    let content = messages[index].content
    var (reasoning, answer) = ("", content)
    if let range = content.ranges(of: "</think>").first {
      let head = trimmingBreaks(String(content[..<range.lowerBound]), leading: false)
      let opening = head.ranges(of: "<think>").last
      reasoning = trimmingBreaks(
        opening.map { String(head[$0.upperBound...]) } ?? head, trailing: false)
      let end = content.ranges(of: "</think>").last ?? range
      answer = trimmingBreaks(String(content[end.upperBound...]), trailing: false)
    }
    guard index > lastQuestion(messages), index == messages.count - 1 || !reasoning.isEmpty else {
      return answer
    }
    return "<think>\n" + trimmingBreaks(reasoning) + "\n</think>\n\n"
      + trimmingBreaks(answer, trailing: false)
  }

  /// The last user message that isn't the result of a tool; the last message where there is none.
  private static func lastQuestion(_ messages: [ChatMessage]) -> Int {
    messages.lastIndex { message in
      message.role == .user
        && !(message.content.hasPrefix("<tool_response>")
          && message.content.hasSuffix("</tool_response>"))
    } ?? messages.count - 1
  }

  private static func trimmingBreaks(
    _ text: String, leading: Bool = true, trailing: Bool = true
  ) -> String {
    var scalars = text.unicodeScalars[...]
    while leading, scalars.first == "\n" { scalars.removeFirst() }
    while trailing, scalars.last == "\n" { scalars.removeLast() }
    return String(scalars)
  }
}
