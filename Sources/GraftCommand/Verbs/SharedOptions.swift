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

/// How data files are read.
struct DataOptions: ParsableArguments {
  /// What `--format` takes.
  enum Format: String, ExpressibleByArgument, CaseIterable {
    case text, chat, completion

    var format: DataSettings.Format {
      switch self {
      case .text: .text
      case .chat: .chat
      case .completion: .completion
      }
    }
  }

  @Option(
    name: .long,
    help:
      "Form of the data: plain text, or JSON lines with messages, or with prompt and completion or text (default: by content)."
  )
  var format: Format?

  @Flag(name: .long, help: "Predict completions and the assistant's answers only.")
  var maskPrompt = false

  @Flag(
    name: .long, help: "Put as many examples into a window as fit, each attending to itself only.")
  var pack = false

  @Option(
    name: .long,
    help: "How conversations are written: a known template's name or file (default: the model's).")
  var chatTemplate: String?

  /// The settings that the options describe.
  var settings: DataSettings {
    DataSettings(
      format: format?.format, masksPrompt: maskPrompt, packs: pack, chatTemplate: chatTemplate)
  }
}
