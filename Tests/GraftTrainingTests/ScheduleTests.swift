import GraftCore
import GraftTraining
import TestSupport
import Testing

/// Learning rates beside transformers' `get_*_schedule` (Fixtures/generate/schedules.py).
struct ScheduleTests {
  private static func golden() throws -> [JSONValue] {
    try #require(try Repository.goldenJSON("schedules/schedules.json").array)
  }

  @Test func `every course follows transformers' rates from the first step to past the last`()
    throws
  {
    var seen: Set<String> = []
    for golden in try Self.golden() {
      let name = try #require(golden["decay"]?.string)
      seen.insert(name)
      let schedule = LearningRateSchedule(
        peak: 1e-3, decay: try #require(LearningRateSchedule.Decay(rawValue: name)),
        warmupSteps: try #require(golden["warmup"]?.int),
        totalSteps: try #require(golden["total"]?.int),
        parameters: LearningRateSchedule.Parameters(
          cycles: golden["cycles"]?.int, power: golden["power"]?.double,
          decaySteps: golden["decaySteps"]?.int, minimumRate: golden["minimumRate"]?.double))
      for (step, rate) in try #require(golden["rates"]?.array).enumerated() {
        let expected = try #require(rate.double)
        #expect(abs(schedule.rate(at: step) - expected) < 1e-15, "\(name), step \(step)")
      }
    }
    #expect(seen == Set(LearningRateSchedule.Decay.allCases.map(\.rawValue)))
  }

  @Test func `a fraction of the steps as warm-up is rounded up`() {
    var settings = TrainingSettings(steps: 25)
    settings.warmupFraction = 0.1
    #expect(settings.schedule.warmupSteps == 3)
  }

  @Test(arguments: [
    (LearningRateSchedule.Decay.cosine, LearningRateSchedule.Parameters(cycles: 2), "--cycles"),
    (.linear, LearningRateSchedule.Parameters(power: 2), "--power"),
    (.polynomial, LearningRateSchedule.Parameters(decaySteps: 2), "--decay-steps"),
    (.constant, LearningRateSchedule.Parameters(minimumRate: 1e-5), "--minimum-rate"),
  ])
  func `a parameter of another course is refused`(
    decay: LearningRateSchedule.Decay, parameters: LearningRateSchedule.Parameters, name: String
  ) {
    var settings = TrainingSettings(decay: decay)
    settings.scheduleParameters = parameters
    let error = #expect(throws: TrainingError.self) { try settings.validate() }
    #expect(
      error?.reason
        == .invalidSetting(
          name: "schedule", expected: "an option of \(decay.rawValue)", found: name))
  }
}
