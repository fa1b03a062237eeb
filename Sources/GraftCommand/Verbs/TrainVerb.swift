import ArgumentParser
import Graft

/// `graft train`: a LoRA adapter for a model, from text.
struct TrainVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train", abstract: "Train a LoRA adapter.",
    discussion: """
      Writes a PEFT directory: adapter_config.json, adapter_model.safetensors; beside them \
      training_log.jsonl and training_state/ for --resume.
      """)

  @Argument(help: "The base model: a model directory or one file.")
  var model: String

  @Option(name: .long, parsing: .upToNextOption, help: "Text or JSON-lines files to train on.")
  var data: [String]

  @Option(name: .long, help: "The adapter's directory.")
  var out: String

  @OptionGroup(title: "Adapter")
  var adapter: AdapterOptions

  @OptionGroup(title: "Schedule")
  var schedule: ScheduleOptions

  @OptionGroup(title: "Data")
  var dataOptions: DataOptions

  @Flag(name: .long, help: "Keep the windows in the order of the text.")
  var noShuffle = false

  @Option(
    name: .long, parsing: .upToNextOption, help: "Files whose loss is reported with the run's.")
  var validation: [String] = []

  @Option(name: .long, help: "Steps between validations (default: at the end only).")
  var evaluateEvery: Int?

  @Option(name: .long, help: "Steps between saves (default: at the end only).")
  var saveEvery: Int?

  @Flag(name: .long, help: "Go on from the last save in --out.")
  var resume = false

  @Option(
    name: .long,
    help: "What is recomputed in the backward pass instead of being kept: none or block.")
  var recompute = RecomputeOption.none

  @Flag(name: .long, help: "Run the graph op by op, for comparison.")
  var noFusion = false

  @Option(name: .long, help: "Decides the adapter's start and the order of the data.")
  var seed: UInt64 = 0

  @OptionGroup(title: "Computation")
  var compute: ComputeOptions

  @OptionGroup
  var common: CommonOptions

  func run() throws {
    let request = TrainingRequest(
      adapter: try adapter.configuration(), data: data, output: out, settings: settings,
      epochs: schedule.epochs, validation: validation, form: dataOptions.format?.form,
      masksPrompt: dataOptions.maskPrompt, resumes: resume, initialAdapter: adapter.from)
    try request.settings.validate()
    let model = try compute.model(model, common)
    Interruption.stopGracefully(true)
    let report = TrainingReport(isQuiet: common.quiet)
    try model.train(
      request, starting: report.start, step: report.step,
      isInterrupted: { Interruption.isRequested })
    report.finish(output: out)
  }

  private var settings: TrainingSettings {
    TrainingSettings(
      steps: schedule.steps, batchSize: schedule.batchSize,
      sequenceLength: schedule.sequenceLength, accumulation: schedule.accumulate,
      learningRate: schedule.learningRate, decay: schedule.schedule.decay,
      warmupSteps: schedule.warmup, optimizer: AdamW(weightDecay: schedule.weightDecay),
      clipNorm: schedule.clipNorm > 0 ? schedule.clipNorm : nil, seed: seed,
      shuffles: !noShuffle, recompute: recompute.policy, fusion: !noFusion,
      evaluateEvery: evaluateEvery, saveEvery: saveEvery)
  }
}

/// What `--recompute` takes.
enum RecomputeOption: String, ExpressibleByArgument, CaseIterable {
  case none, block

  var policy: RecomputePolicy {
    switch self {
    case .none: .none
    case .block: .block
    }
  }
}

/// What `--schedule` takes.
enum ScheduleOption: String, ExpressibleByArgument, CaseIterable {
  case cosine, linear, constant

  var decay: LearningRateSchedule.Decay {
    switch self {
    case .cosine: .cosine
    case .linear: .linear
    case .constant: .constant
    }
  }
}

/// What the adapter is like.
struct AdapterOptions: ParsableArguments {
  @Option(name: .long, help: "Rank of the pairs A and B.")
  var rank = 8

  @Option(name: .long, help: "Numerator of the scaling alpha / rank.")
  var alpha = 32.0

  @Option(
    name: .long,
    help: "Modules to adapt: names separated by commas, a regular expression, or all-linear.")
  var targetModules = "q_proj,v_proj"

  /// What `--variant` takes.
  enum Variant: String, ExpressibleByArgument, CaseIterable {
    case lora, rslora
  }

  @Option(name: .long, help: "lora scales by alpha / rank, rslora by alpha / √rank.")
  var variant = Variant.lora

  @Option(
    name: .long, help: "Layers to adapt, for example 0,1,8-11 (default: all).")
  var layers: String?

  @Option(
    name: .long, parsing: .upToNextOption,
    help:
      "Modules that stay as they are, whatever --target-modules says: paths or their last parts."
  )
  var freeze: [String] = []

  @Option(name: .long, help: "Go on from an adapter's weights instead of fresh ones.")
  var from: String?

  func validate() throws {
    if !(1...65536).contains(rank) { throw ValidationError("--rank is 1 to 65536") }
    if !alpha.isFinite { throw ValidationError("--alpha is a number") }
    _ = try layerNumbers()
  }

  /// The configuration that the options describe.
  func configuration() throws -> LoRAConfiguration {
    var result = LoRAConfiguration(
      rank: rank, alpha: alpha, targetModules: try TargetModules(parsing: targetModules))
    result.usesRSLoRA = variant == .rslora
    result.layers = try layerNumbers()
    if !freeze.isEmpty { result.excludedModules = .names(freeze) }
    return result
  }

  private func layerNumbers() throws -> [Int]? {
    guard let layers else { return nil }
    return try layers.split(separator: ",").flatMap { part in
      let ends = part.split(separator: "-").map { Int($0) }
      guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2,
        first <= last, first >= 0, last < 4096
      else { throw ValidationError("--layers takes numbers and ranges, found \(part)") }
      return Array(first...last)
    }
  }
}

/// How long and how fast is trained.
struct ScheduleOptions: ParsableArguments {
  @Option(name: .long, help: "Optimizer steps.")
  var steps = 100

  @Option(name: .long, help: "Passes over the data, instead of --steps.")
  var epochs: Double?

  @Option(name: .long, help: "Windows in a batch.")
  var batchSize = 4

  @Option(name: .long, help: "Tokens in a window.")
  var sequenceLength = 512

  @Option(name: .long, help: "Batches whose gradients are summed before a step.")
  var accumulate = 1

  @Option(name: .long, help: "Peak learning rate.")
  var learningRate = 1e-3

  @Option(name: .long, help: "Course of the learning rate after the warm-up.")
  var schedule = ScheduleOption.cosine

  @Option(name: .long, help: "Steps of linear warm-up.")
  var warmup = 0

  @Option(name: .long, help: "AdamW's weight decay.")
  var weightDecay = 0.0

  @Option(name: .long, help: "Largest norm of all gradients together; 0 leaves them alone.")
  var clipNorm = 1.0

  func validate() throws {
    if let epochs, !(epochs > 0 && epochs <= 1e6) {
      throw ValidationError("--epochs is above 0 and at most 1000000")
    }
    if !clipNorm.isFinite || clipNorm < 0 { throw ValidationError("--clip-norm is 0 or more") }
  }
}
