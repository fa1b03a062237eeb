import ArgumentParser
import Foundation
import Graft

/// Options that every verb takes.
struct CommonOptions: ParsableArguments {
  @Flag(name: .long, help: "Show no progress.")
  var quiet = false

  @Option(name: .long, help: "Threads to use (default: all cores).")
  var threads: Int?

  func validate() throws {
    if let threads, !(1...256).contains(threads) {
      throw ValidationError("--threads is 1 to 256")
    }
  }

  /// The threads of a verb that streams tensors.
  var workerCount: Int { threads ?? ProcessInfo.processInfo.activeProcessorCount }
}

/// Options of the verbs that compute with a model.
struct ComputeOptions: ParsableArguments {
  /// What `--compute` takes.
  enum Compute: String, ExpressibleByArgument, CaseIterable {
    case bf16, f32, auto

    var precision: ComputePrecision? {
      switch self {
      case .bf16: .bf16
      case .f32: .f32
      case .auto: nil
      }
    }
  }

  @Option(
    name: .long,
    help: "Number format of matrices and activations; auto takes bf16 where the CPU has it.")
  var compute = Compute.auto

  func model(_ path: String, _ common: CommonOptions) throws -> LanguageModel {
    try LanguageModel(path, precision: compute.precision, threads: common.threads)
  }
}

/// The form of data files.
struct DataOptions: ParsableArguments {
  /// What `--format` takes.
  enum Form: String, ExpressibleByArgument, CaseIterable {
    case text, completion

    var form: TokenizedText.Form {
      switch self {
      case .text: .text
      case .completion: .completion
      }
    }
  }

  @Option(
    name: .long,
    help:
      "Form of the data: plain text, or JSON lines with text or prompt and completion (default: by content)."
  )
  var format: Form?

  @Flag(name: .long, help: "Read prompts without predicting them.")
  var maskPrompt = false
}
