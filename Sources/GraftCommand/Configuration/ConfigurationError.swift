import Graft
import Yams

/// Why a file of options can't be used.
struct ConfigurationError: DiagnosableError, Equatable {
  /// What is wrong.
  var reason: Reason
  /// The file.
  var file: String
  /// The line, counted from 1, if it is known.
  var line: Int?

  /// The kinds of failure.
  enum Reason: Sendable, Equatable {
    /// The file isn't YAML.
    case notYAML(problem: String)
    /// The file isn't a mapping from option names to values.
    case notMapping
    /// No option has the name.
    case unknownKey(String, nearest: [String])
    /// The file names a file of options itself.
    case anotherFile
    /// The same option twice, also spelt in another way.
    case duplicateKey(String, firstLine: Int)
    /// The value is of another kind.
    case wrongType(key: String, expected: String, found: String)
    /// The option refuses the value, in the words of the command line.
    case refused(message: String)
  }

  /// Makes an error.
  init(_ reason: Reason, file: String, line: Int? = nil) {
    self.reason = reason
    self.file = file
    self.line = line
  }

  /// What the YAML parser complains of.
  init(_ error: YamlError, file: String) {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      self.init(.notYAML(problem: problem), file: file, line: mark.line)
    case .duplicatedKeysInMapping(let duplicates, let context):
      let key = duplicates.first ?? ""
      self.init(.duplicateKey(key, firstLine: context.mark.line), file: file)
    case .reader(let problem, _, _, _), .writer(let problem), .emitter(let problem),
      .representer(let problem):
      self.init(.notYAML(problem: problem), file: file)
    case .no, .memory, .dataCouldNotBeDecoded:
      self.init(.notYAML(problem: "\(error)"), file: file)
    @unknown default:
      self.init(.notYAML(problem: "\(error)"), file: file)
    }
  }

  /// The error, taken apart for printing.
  var diagnosis: Diagnosis {
    var place = file.escapedWhole
    if let line { place += ", line \(line)" }
    if case .wrongType(_, let expected, let found) = reason {
      place += ", expected \(expected), found \(found.escapedShortened)"
    }
    return Diagnosis(kind: .usage, summary: summary, location: place, remedy: remedy)
  }

  private var summary: String {
    switch reason {
    case .notYAML(let problem): "the configuration isn't YAML: \(problem.escapedWhole)"
    case .notMapping: "a configuration is a mapping from option names to values"
    case .unknownKey(let key, _): "no option is called \(key.escapedShortened)"
    case .anotherFile: "a configuration doesn't name another one"
    case .duplicateKey(let key, _): "the configuration has \(key.escapedShortened) twice"
    case .wrongType(let key, _, _): "\(key.escapedShortened) has a value of another kind"
    case .refused(let message): message.escapedWhole
    }
  }

  private var remedy: String? {
    switch reason {
    case .unknownKey(_, let nearest):
      nearest.isEmpty ? nil : "did you mean \(nearest.joined(separator: ", "))?"
    case .anotherFile: "write its options here"
    case .duplicateKey(_, let line): "first in line \(line)"
    case .notYAML, .notMapping, .wrongType, .refused: nil
    }
  }
}
