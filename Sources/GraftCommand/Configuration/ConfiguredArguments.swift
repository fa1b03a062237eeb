import ArgumentParser
import Graft

/// The arguments of a command line, with those that its `--config` file adds.
///
/// What the command line says counts; the file speaks for the options that it leaves out. Names, kinds and checks are
/// those of the command's own declarations.
struct ConfiguredArguments {
  /// The arguments to parse.
  let arguments: [String]
  /// The file.
  private let file: String?
  /// The lines of the options that the file decides.
  private let lines: [String: Int]

  /// Reads the file that the arguments name, if they name one.
  ///
  /// - Throws: ``StorageError`` and ``ConfigurationError``.
  init(_ words: [String]) throws {
    let (command, depth) = Self.command(of: words)
    let given = try Self.joiningNegativeNumbers(words, of: command)
    let rest = Array(given[depth...])
    guard !Self.helpFlags.contains(where: rest.contains),
      let path = Self.value(of: Self.name, in: rest)
    else {
      self.init(arguments: given)
      return
    }
    let options = try CommandOptions(command)
    guard options.all.contains(where: { $0.name == Self.name }) else {
      self.init(arguments: given)
      return
    }
    let file = try ConfigurationFile(path: path)
    let said = Set(
      rest.prefix { $0 != "--" }.filter { $0.hasPrefix("--") }
        .map { String($0.dropFirst(2).prefix { $0 != "=" }) })
    var positional: [String] = []
    var added: [String] = []
    var lines: [String: Int] = [:]
    for entry in file.entries {
      let option = try options.option(for: entry, in: file.path)
      let words = try option.arguments(for: entry, in: file.path)
      guard !words.isEmpty else { continue }
      try options.check(words, entry, in: file.path)
      if option.kind == .positional {
        positional += words
      } else if !said.contains(option.name) {
        added += words
        lines[option.name] = entry.line
      }
    }
    // Only the parser knows whether the command line has the positional arguments.
    let lacksPositional = (try? command.parse(rest + added)) == nil
    self.init(
      arguments: given[..<depth] + (lacksPositional ? positional : []) + rest + added, file: path,
      lines: lines)
  }

  private init(arguments: [String], file: String? = nil, lines: [String: Int] = [:]) {
    self.arguments = arguments
    self.file = file
    self.lines = lines
  }

  /// An error about the value of an option, with the line that it stands in.
  func placed(_ error: any Error) -> any Error {
    guard var error = error as? TrainingError, error.file == nil,
      case .invalidSetting(let name, _, _) = error.reason, let line = lines[name]
    else { return error }
    (error.file, error.line) = (file, line)
    return error
  }

  /// Joins an option with a negative number behind it, which the parser would take for an option of its own.
  ///
  /// What the number means there is for the checks of the option to say.
  private static func joiningNegativeNumbers(
    _ words: [String], of command: any ParsableCommand.Type
  ) throws -> [String] {
    guard words.contains(where: isNegativeNumber) else { return words }
    let options = try CommandOptions(command).all.filter { $0.kind == .option }.map(\.name)
    var result: [String] = []
    var isOption = true
    for word in words {
      if word == "--" { isOption = false }
      if isOption, isNegativeNumber(word), let last = result.last, last.hasPrefix("--"),
        options.contains(String(last.dropFirst(2)))
      {
        result[result.count - 1] = last + "=" + word
      } else {
        result.append(word)
      }
    }
    return result
  }

  private static func isNegativeNumber(_ word: String) -> Bool {
    word.hasPrefix("-") && word.count > 1 && Double(word) != nil
  }

  private static let name = "config"
  private static let helpFlags = ["--help", "-h", "--version"]

  /// The command that the first words name, and how many words those are.
  private static func command(of arguments: [String]) -> (any ParsableCommand.Type, depth: Int) {
    var command: any ParsableCommand.Type = GraftCommand.self
    var depth = 0
    while depth < arguments.count,
      let next = command.configuration.subcommands.first(where: {
        $0.configuration.commandName == arguments[depth]
      })
    {
      command = next
      depth += 1
    }
    return (command, depth)
  }

  private static func value(of option: String, in arguments: [String]) -> String? {
    for (index, argument) in arguments.prefix(while: { $0 != "--" }).enumerated() {
      if argument.hasPrefix("--\(option)=") { return String(argument.dropFirst(option.count + 3)) }
      if argument == "--\(option)", index + 1 < arguments.count { return arguments[index + 1] }
    }
    return nil
  }
}
