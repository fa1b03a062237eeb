import Foundation
import GraftCore
import TestSupport
import Testing

/// What `--memory` promises, held against what the system says of whole runs.
@Suite(.serialized) struct `A budget of memory` {
  private let scratch = TemporaryFolder()

  /// The threads of every run, so that what they take is the same on every machine.
  private static let threads = 2
  /// Room that the forecast has for what libraries may make when they are first used.
  ///
  /// The small model's steps use little of it. That is much beside what the model takes, but the same at every budget.
  private static let libraryBytes = 2 << 20 + threads * 5 << 18 + 7 << 19
  /// What the process holds before the run differs by some pages from start to start.
  private static let startBytes = 2 << 20

  /// What is known of a run.
  private struct Run {
    let budget: Int
    let forecastBytes: Int
    let measuredBytes: Int
    let losses: [Double]
    let adapter: Data
  }

  private func arguments(_ verb: [String], _ options: [String]) -> [String] {
    verb + [
      "model", "--data", "text/gospels.txt", "--out", scratch("adapter"), "--steps", "2",
      "--batch-size", "8", "--sequence-length", "512", "--threads", "\(Self.threads)",
    ] + options
  }

  /// The most that a run is to hold beside mapped weights, as the plan has it.
  private func forecast(_ options: String...) throws -> Int {
    let outcome = try Graft.run(arguments(["plan", "train"], options + ["--json"]))
    try #require(outcome.status == 0, "\(outcome.error)")
    let plan = try JSONValue.parse(Array(outcome.output.utf8), file: "plan")
    return try #require(plan["memory"]?["peakBytes"]?.int)
  }

  private func train(_ budget: Int) throws -> Run {
    defer { try? FileManager.default.removeItem(at: scratch.url("adapter")) }
    let memory = "\(budget)"
    let forecast = try forecast("--memory", memory)
    let outcome = try Graft.run(arguments(["train"], ["--memory", memory, "--quiet"]))
    try #require(outcome.status == 0, "\(outcome.error)")
    let log = try String(contentsOf: scratch.url("adapter/training_log.jsonl"), encoding: .utf8)
    let losses = try log.split(separator: "\n").map {
      try #require(try JSONValue.parse(Array($0.utf8), file: "log")["loss"]?.double)
    }
    return Run(
      budget: budget, forecastBytes: forecast, measuredBytes: outcome.anonymousPeakBytes,
      losses: losses,
      adapter: try Data(contentsOf: scratch.url("adapter/adapter_model.safetensors")))
  }

  @Test func `is of less than the log's peak, which counts mapped files`() throws {
    let outcome = try Graft.run(arguments(["train"], ["--quiet"]))
    try #require(outcome.status == 0, "\(outcome.error)")
    let log = try String(contentsOf: scratch.url("adapter/training_log.jsonl"), encoding: .utf8)
    let last = try #require(log.split(separator: "\n").last)
    let peak = try JSONValue.parse(Array(last.utf8), file: "log")["peakBytes"]?.int ?? 0
    // The weights of the model are read where they are mapped.
    let weights = try #require(
      try FileManager.default.attributesOfItem(
        atPath: Graft.fixtures.appending(path: "model/model.safetensors").path)[.size] as? Int)
    #expect(peak > outcome.anonymousPeakBytes + weights)
  }

  @Test func `is kept from the least to no recompute, is forecast, and changes no number`() throws {
    let (least, most) = (try forecast("--recompute", "auto"), try forecast("--recompute", "none"))
    #expect(least < most / 2, "there is something to recompute")
    let runs = try (0..<4).map { third in
      try train(least + (most - least) * third / 3 + Self.startBytes)
    }
    for run in runs {
      let story: Comment = "\(run.budget), \(run.forecastBytes), \(run.measuredBytes)"
      #expect(run.forecastBytes <= run.budget, story)
      #expect(run.measuredBytes <= run.budget, story)
      let slack = run.forecastBytes / 50
      #expect(run.measuredBytes <= run.forecastBytes + slack, story)
      #expect(run.measuredBytes >= run.forecastBytes - slack - Self.libraryBytes, story)
      #expect(run.losses == runs[0].losses, story)
      #expect(run.adapter == runs[0].adapter, story)
    }
    #expect(runs[0].losses.count == 2)
    // Beside that room the forecast is right at every budget.
    let unused = runs.map { $0.forecastBytes - $0.measuredBytes }
    let range = (try #require(unused.min()), try #require(unused.max()))
    #expect(range.1 - range.0 <= most / 50, "\(unused)")
  }
}
