import ArgumentParser
import Foundation
import Graft

/// The root command: parses, prints and sets the exit status; every verb is a function of the library.
struct GraftCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "graft",
    abstract: "Adapt pretrained models: import embeddings, train adapters, merge, export.",
    version: "graft \(Release.version)",
    subcommands: [
      InspectVerb.self, VerifyVerb.self, DiffVerb.self, ConvertVerb.self, WarmStartVerb.self,
      TrainVerb.self, ReportVerb.self, EvaluateVerb.self, GenerateVerb.self, EmbedVerb.self,
      MergeVerb.self, PlanVerb.self,
    ])
}

/// The entry point, which maps every way to end to the contract's exit statuses.
@main
enum EntryPoint {
  static func main() {
    Standard.holdPlaces()
    ScarceMemory.watch()
    Interruption.watch()
    var status = ExitStatus.done.rawValue
    do {
      try checkArguments()
      let given = Array(CommandLine.arguments.dropFirst())
      if let error = UsageError(verbIn: given) { throw error }
      let configured = try ConfiguredArguments(given)
      do {
        var command = try GraftCommand.parseAsRoot(configured.arguments)
        // What asks for help gets it whatever the environment says.
        if type(of: command).configuration.commandName != "help" { try checkEnvironment() }
        try command.run()
      } catch {
        throw configured.placed(error)
      }
    } catch {
      status = ErrorPrinter.report(error)
    }
    // All is written. What libraries do at an exit may wait forever for threads that find no memory.
    _exit(status)
  }

  /// Checks that the arguments are text: Swift repairs what isn't, and a repaired path is another one.
  private static func checkArguments() throws {
    for place in 1..<max(1, Int(CommandLine.argc)) {
      guard let argument = unsafe CommandLine.unsafeArgv[place],
        unsafe String(validatingCString: argument) == nil
      else { continue }
      throw ValidationError(
        "The argument '\(CommandLine.arguments[place])' isn't UTF-8, and \u{FFFD} would take the place of its bytes"
      )
    }
  }
}
