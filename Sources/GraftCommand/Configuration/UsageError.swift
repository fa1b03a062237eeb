import ArgumentParser
import Graft

/// A wrong call that the parser's own declarations don't see.
struct UsageError: DiagnosableError, Equatable {
  /// What is wrong.
  let summary: String
  /// What is right.
  let expected: String

  /// The error, taken apart for printing.
  var diagnosis: Diagnosis {
    Diagnosis(kind: .usage, summary: summary, location: expected, remedy: "see graft --help")
  }
}

extension UsageError {
  /// The error of a word where a verb is to stand; nil where one stands there, or an option, or nothing.
  init?(verbIn arguments: [String]) {
    var verbs = GraftCommand.configuration.subcommands
    for word in arguments {
      guard !verbs.isEmpty, !word.hasPrefix("-") else { return nil }
      let names = verbs.compactMap { $0.configuration.commandName }
      guard let position = names.firstIndex(of: word) else {
        if word == "help" { return nil }
        let nearest = nearestNames(to: word, among: names)
        self.init(
          summary: "unknown verb '\(word.escapedShortened)'",
          expected: nearest.isEmpty
            ? "there are " + names.joined(separator: ", ")
            : "did you mean \(nearest.joined(separator: ", "))?")
        return
      }
      verbs = verbs[position].configuration.subcommands
    }
    return nil
  }
}
