import ArgumentParser
import Foundation
import Graft

/// What a model goes on from.
struct PromptOptions: ParsableArguments {
  @Option(name: .long, parsing: .unconditional, help: "The text to go on from.")
  var prompt: String?

  @Option(name: .long, help: "A file with the text to go on from; - is the standard input.")
  var promptFile: String?

  @Flag(
    name: .long, help: "Take the prompt for a message, in the chat template, and print the answer.")
  var chat = false

  @Option(
    name: .long, parsing: .unconditional, help: "With --chat: a system message before the prompt.")
  var system: String?

  @Option(
    name: .long,
    help: """
      With --chat: how conversations are written: a known template's name or file (default: the \
      model's).
      """)
  var chatTemplate: String?

  func validate() throws {
    guard (prompt == nil) != (promptFile == nil) else {
      throw ValidationError("give a --prompt or a --prompt-file")
    }
    for (name, isGiven) in [("--system", system != nil), ("--chat-template", chatTemplate != nil)]
    where isGiven && !chat {
      throw ValidationError("\(name) goes with --chat")
    }
  }

  /// The prompt for a model.
  ///
  /// - Throws: ``StorageError`` for a file that can't be read, ``ModelError`` when the template can't write the messages.
  func prompt(for model: LanguageModel) throws -> Prompt {
    let text = try prompt ?? promptFile.map(Self.text(ofFile:)) ?? ""
    guard chat else {
      do {
        return try model.prompt(text)
      } catch {
        guard prompt == "" else { throw error }
        throw UsageError(
          summary: "--prompt has no text",
          expected:
            "the tokenizer of this model puts no token before one that could be gone on from")
      }
    }
    let system = system.map { [ChatMessage(.system, $0)] } ?? []
    return try model.prompt(
      system + [ChatMessage(.user, text)], in: model.chatTemplate(choice: chatTemplate))
  }

  /// A file's text without the line break at its end, which editors put there.
  ///
  /// - Throws: ``StorageError`` for what isn't text, or no text at all.
  private static func text(ofFile path: String) throws -> String {
    let isInput = path == "-"
    let name = isInput ? "standard input" : path
    let bytes =
      try isInput
      ? Array(FileHandle.standardInput.readToEnd() ?? Data())
      : InputFile.contents(of: path, atMost: 1 << 28)
    guard var text = String(validating: bytes, as: UTF8.self) else {
      throw StorageError(
        .malformed(rule: "UTF-8", expected: "text", found: "other bytes"), file: name)
    }
    if let place = bytes.firstIndex(of: 0) {
      throw StorageError(
        .malformed(rule: "UTF-8", expected: "text", found: "a zero byte"), file: name,
        offset: place,
        remedy: "if it is text in UTF-16, make it UTF-8 first: iconv -f utf-16 -t utf-8")
    }
    if let last = text.last, last == "\n" || last == "\r\n" { text.removeLast() }
    guard !text.isEmpty else {
      throw StorageError(
        .unsupported(feature: "prompt", found: "no text"), file: name,
        remedy: "write the text to go on from into the file")
    }
    return text
  }
}
