import ArgumentParser
import Graft

/// `graft train`: a LoRA adapter for a model, or the model itself, from text.
struct TrainVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train", abstract: "Train a LoRA adapter, or a model's own tensors.",
    discussion: """
      Writes a PEFT directory: adapter_config.json, adapter_model.safetensors; with --full a model \
      directory. Beside them stand training_log.jsonl and training_state/ for --resume.
      """)

  @Argument(help: "The base model: a model directory or one file.")
  var model: String

  @Option(name: .long, parsing: .upToNextOption, help: "Text or JSON-lines files to train on.")
  var data: [String]

  @Option(name: .long, help: "The directory of the adapter, or of the model with --full.")
  var out: String

  @OptionGroup(title: "Adapter")
  var adapter: AdapterOptions

  @OptionGroup(title: "Trained tensors")
  var trained: TrainedOptions

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

  @OptionGroup(title: "Memory")
  var memory: MemoryOptions

  @Option(
    name: .long,
    help: "An HTML page of the run, written when it ends; graft report makes one at any time.")
  var report: String?

  @Option(
    name: .long,
    help: "A YAML file with options by their names; the command line counts where both speak.")
  var config: String?

  @Flag(name: .long, help: "Run the graph op by op, for comparison.")
  var noFusion = false

  @Option(name: .long, help: "Decides the adapter's start and the order of the data.")
  var seed: UInt64 = 0

  @OptionGroup(title: "Computation")
  var compute: ComputeOptions

  @OptionGroup
  var common: CommonOptions

  func validate() throws {
    if trained.full, let option = adapter.given {
      throw ValidationError("--full trains without an adapter: \(option) has no meaning there")
    }
  }

  func run() throws {
    var request = try request()
    let model = try compute.model(model, common)
    adapter.chooseTargets(of: &request, for: model)
    Interruption.stopGracefully(true)
    let display = TrainingDisplay(isQuiet: common.quiet)
    do {
      try model.train(
        request, starting: display.start, step: display.step,
        isInterrupted: { Interruption.isRequested })
    } catch let error as TrainingError where error.leavesLog {
      try writeReport()
      throw error
    }
    display.finish(output: out)
    try writeReport()
  }

  private func writeReport() throws {
    guard let report else { return }
    try RunReport(run: out).write(to: report)
  }

  /// What the options ask for.
  func request() throws -> TrainingRequest {
    var request = TrainingRequest(
      adapter: try trained.full ? nil : adapter.configuration(), data: data, output: out,
      settings: settings,
      epochs: schedule.epochs, validation: validation, resumes: resume, initialAdapter: adapter.from
    )
    request.trainedModules = trained.trainedModules
    request.frozenModules = trained.frozenModules
    try request.settings.validate()
    return request
  }

  private var settings: TrainingSettings {
    TrainingSettings(
      steps: schedule.steps ?? 100, batchSize: schedule.batchSize,
      sequenceLength: schedule.sequenceLength, accumulation: schedule.accumulate,
      learningRate: schedule.learningRate, decay: schedule.schedule.decay,
      warmupSteps: schedule.warmup, optimizer: AdamW(weightDecay: schedule.weightDecay),
      clipNorm: schedule.clipNorm > 0 ? schedule.clipNorm : nil, seed: seed,
      data: dataOptions.settings,
      shuffles: !noShuffle, recompute: memory.recompute.policy, memory: memory.memory?.byteCount,
      fusion: !noFusion,
      evaluateEvery: evaluateEvery, saveEvery: saveEvery)
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

/// How long and how fast is trained.
struct ScheduleOptions: ParsableArguments {
  @Option(name: .long, help: "Optimizer steps (default: 100).")
  var steps: Int?

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
    if steps != nil, epochs != nil {
      throw ValidationError("--steps and --epochs both say how long: give one of them")
    }
    if let epochs, !(epochs > 0 && epochs <= 1e6) {
      throw ValidationError("--epochs is above 0 and at most 1000000")
    }
    if !clipNorm.isFinite || clipNorm < 0 { throw ValidationError("--clip-norm is 0 or more") }
  }
}
