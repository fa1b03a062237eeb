import ArgumentParser
import Graft

/// `graft train`: a LoRA adapter for a model, or the model itself, from text.
struct TrainVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train", abstract: "Train a LoRA adapter, or a model's own tensors.",
    discussion: """
      Writes a PEFT directory: adapter_config.json, adapter_model.safetensors; with --full a model \
      directory. Beside them stand training_run.json, training_log.jsonl and training_state/ for \
      --resume.
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

  @OptionGroup(title: "Optimizer")
  var optimizer: OptimizerOptions

  @OptionGroup(title: "Data")
  var dataOptions: DataOptions

  @Flag(name: .long, help: "Keep the windows in the order of the text.")
  var noShuffle = false

  @Option(
    name: .long, parsing: .upToNextOption, help: "Files whose loss is reported with the run's.")
  var validation: [String] = []

  @OptionGroup(title: "Run control")
  var runControl: RunControlOptions

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

  @Option(
    name: .long, help: "Decides the adapter's start, the order of the data and what is dropped.")
  var seed: UInt64 = 0

  @OptionGroup(title: "Computation")
  var compute: ComputeOptions

  @OptionGroup
  var common: CommonOptions

  func validate() throws {
    let given = adapter.given ?? optimizer.loraPlusRatio.map { _ in "--lora-plus-ratio" }
    if trained.full, let option = given {
      throw ValidationError("--full trains without an adapter: \(option) has no meaning there")
    }
  }

  func run() throws {
    ProcessMemory.returnFreedMemory()
    var request = try request()
    if let report { try RunReport.checkTarget(report, besides: out) }
    let model = try compute.model(model, common)
    try adapter.settle(&request, for: model)
    Interruption.stopGracefully(true)
    let display = TrainingDisplay(isQuiet: common.quiet)
    let outcome: TrainingOutcome
    do {
      outcome = try model.train(
        request, starting: display.start, step: display.step,
        isInterrupted: { Interruption.isRequested })
    } catch let error as TrainingError where error.leavesLog {
      // A run that ended inside its first step has nothing to show. Whatever becomes of the page, this error is told.
      try? writeReport()
      throw error
    }
    display.finish(output: out, outcome)
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
      settings: try settings(),
      epochs: schedule.epochs, validation: validation, resumes: resume,
      initialAdapter: adapter.from)
    request.trainedModules = trained.trainedModules
    request.frozenModules = trained.frozenModules
    try request.validate()
    return request
  }

  private func settings() throws -> TrainingSettings {
    var settings = TrainingSettings(
      steps: schedule.steps ?? 100, batchSize: schedule.batchSize,
      sequenceLength: schedule.sequenceLength, accumulation: schedule.accumulate,
      learningRate: schedule.learningRate, decay: schedule.schedule.decay,
      warmupSteps: schedule.warmup.steps, optimizer: try optimizer.chosen(),
      loraPlusRatio: optimizer.loraPlusRatio ?? 1,
      clipNorm: schedule.clipNorm > 0 ? schedule.clipNorm : nil, seed: seed,
      data: dataOptions.settings,
      shuffles: !noShuffle, recompute: memory.recompute.policy, memory: memory.memory?.byteCount,
      fusion: !noFusion, evaluateEvery: runControl.evaluateEvery, saveEvery: runControl.saveEvery)
    settings.warmupFraction = schedule.warmup.fraction
    settings.scheduleParameters = LearningRateSchedule.Parameters(
      cycles: schedule.cycles, power: schedule.power, decaySteps: schedule.decaySteps,
      minimumRate: schedule.minimumRate)
    settings.keepsBest = runControl.keepBest
    settings.earlyStop = runControl.earlyStop
    settings.keepLast = runControl.keepLast
    return settings
  }
}
