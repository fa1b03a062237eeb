import ArgumentParser
import Graft

/// `graft report`: what a training run did, to look at.
struct ReportVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report", abstract: "Make an HTML page of a training run.",
    discussion: """
      Reads training_log.jsonl and what stands beside it; the run may still be going on. The page \
      is one file that needs no network.
      """)

  @Argument(help: "The directory of a training run.")
  var runDirectory: String

  @Option(name: .long, help: "The HTML file.")
  var out: String

  @OptionGroup
  var common: CommonOptions

  func run() throws {
    let report = try RunReport(run: runDirectory)
    try report.write(to: out)
    Standard.output("\(report.records.count) steps: \(out.escapedWhole)")
  }
}
