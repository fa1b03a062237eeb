import ArgumentParser
import Graft

/// The options of a command, as its declarations say.
struct CommandOptions {
  /// One option, flag or positional argument.
  struct Option {
    enum Kind: String {
      case option, flag, positional
    }

    let name: String
    let kind: Kind
    let isRepeating: Bool
    let isRequired: Bool
  }

  /// All of them.
  let all: [Option]
  private let command: any ParsableCommand.Type

  /// Takes the declarations of a command, which are its words for help in JSON.
  init(_ command: any ParsableCommand.Type) throws {
    self.command = command
    let json = try JSONValue.parse(Array(command._dumpHelp().utf8), file: "help")
    all = (json["command"]?["arguments"]?.array ?? []).compactMap { argument in
      guard let kind = argument["kind"]?.string.flatMap(Option.Kind.init) else { return nil }
      let names = argument["names"]?.array ?? []
      let long = names.first { $0["kind"]?.string == "long" }?["name"]?.string
      guard let name = long ?? argument["valueName"]?.string, name != "help", name != "version"
      else { return nil }
      return Option(
        name: name, kind: kind, isRepeating: argument["isRepeating"]?.bool ?? false,
        isRequired: argument["isOptional"]?.bool == false)
    }
  }

  /// The option that an entry of a file means.
  ///
  /// - Throws: ``ConfigurationError/Reason/unknownKey(_:nearest:)``.
  func option(for entry: ConfigurationFile.Entry, in file: String) throws(ConfigurationError)
    -> Option
  {
    guard entry.name != "config" else {
      throw ConfigurationError(.anotherFile, file: file, line: entry.line)
    }
    guard let option = all.first(where: { $0.name == entry.name }) else {
      let names = all.map(\.name).filter { $0 != "config" }
      throw ConfigurationError(
        .unknownKey(entry.key, nearest: nearestNames(to: entry.name, among: names)), file: file,
        line: entry.line)
    }
    return option
  }

  /// Checks the words of one entry as the command line would: alone beside what the command requires.
  ///
  /// - Throws: ``ConfigurationError/Reason/refused(message:)``.
  func check(_ words: [String], _ entry: ConfigurationFile.Entry, in file: String)
    throws(ConfigurationError)
  {
    let required = all.filter { $0.isRequired && $0.name != entry.name }
    // Positional arguments first: an option that takes several values would swallow them.
    let positional = required.filter { $0.kind == .positional }.map { _ in "x" }
    let others = required.filter { $0.kind == .option }.map { "--\($0.name)=x" }
    do {
      _ = try command.parse(positional + words + others)
    } catch {
      throw ConfigurationError(
        .refused(message: UsageMessage.line(of: command.message(for: error))), file: file,
        line: entry.line)
    }
  }
}

extension CommandOptions.Option {
  /// The options whose one value is a list divided by commas.
  private static let listsInOneValue: Set<String> = ["target-modules", "layers"]

  /// The words that stand for an entry on a command line; none where it says nothing.
  ///
  /// - Throws: ``ConfigurationError/Reason/wrongType(key:expected:found:)``.
  func arguments(for entry: ConfigurationFile.Entry, in file: String) throws(ConfigurationError)
    -> [String]
  {
    func wrong(_ expected: String, _ found: String) -> ConfigurationError {
      ConfigurationError(
        .wrongType(key: entry.key, expected: expected, found: found), file: file,
        line: entry.line)
    }
    let values: [String]
    switch entry.value {
    case .null: return []
    case .nested: throw wrong(isRepeating ? "a list" : "one value", "a mapping or a nested list")
    case .list(let list):
      guard isRepeating || Self.listsInOneValue.contains(name) else {
        throw wrong("one value", "a list")
      }
      values = isRepeating ? list : [list.joined(separator: ",")]
    case .scalar(let text): values = [text]
    }
    switch kind {
    case .positional: return values
    case .option: return values.map { "--\(name)=\($0)" }
    case .flag:
      guard values == ["true"] || values == ["false"] else {
        throw wrong("true or false", values.first ?? "nothing")
      }
      return values == ["true"] ? ["--\(name)"] : []
    }
  }
}
