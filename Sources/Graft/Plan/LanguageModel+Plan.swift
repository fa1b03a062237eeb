internal import GraftGraph
internal import GraftKernels

extension LanguageModel {
  /// Does what training does before its first step, and writes nothing.
  ///
  /// - Throws: what ``train(_:starting:step:isInterrupted:)`` throws before its first step.
  public func plan(_ request: TrainingRequest) throws -> TrainingForecast {
    let held = try TrainingDirectory.lock(request.output)
    defer { withExtendedLifetime(held) {} }
    try TrainingDirectory.check(request.output, resumes: request.resumes)
    let run = try prepare(request)
    let compilation = run.trainer.stepCompilation
    let seconds = try CostModel.measured(kernels).seconds(compilation)
    let settings = run.settings
    return TrainingForecast(
      modules: run.subject.graph.adapters.keys.sorted(), dropout: request.adapter?.dropout ?? 0,
      wholeTensors: run.subject.masters.keys.map(\.text).sorted(),
      parameterCount: run.trainer.trainable.parameterCount, windowCount: run.windows.count,
      stepCount: settings.steps,
      tokensPerStep: settings.batchSize * settings.sequenceLength * settings.accumulation,
      report: compilation.report, summary: compilation.summary, memory: run.trainer.memory,
      arenaBytes: compilation.memoryPlan.arenaByteCount,
      mappedBytes: run.subject.graph.weights.mappedByteCount,
      convertedBytes: run.subject.graph.weights.convertedByteCount,
      planningSeconds: run.trainer.planningSeconds,
      secondsPerStep: seconds * Double(settings.accumulation))
  }
}
