import GraftTraining
import Testing

/// Learning rates beside transformers' `get_*_schedule_with_warmup`, version 5.23.
struct ScheduleTests {
  @Test(arguments: [
    (0, 0.0), (2, 5e-4), (4, 1e-3), (8, 8.535533905932739e-4), (12, 5e-4), (20, 0),
  ])
  func `cosine after a warm-up of four of twenty steps`(step: Int, rate: Double) {
    let schedule = LearningRateSchedule(
      peak: 1e-3, decay: .cosine, warmupSteps: 4, totalSteps: 20)
    #expect(abs(schedule.rate(at: step) - rate) < 1e-12)
  }

  @Test(arguments: [(0, 0.0), (5, 1e-3), (10, 6.666666666666666e-4), (20, 0)])
  func `linear after a warm-up of five of twenty steps`(step: Int, rate: Double) {
    let schedule = LearningRateSchedule(
      peak: 1e-3, decay: .linear, warmupSteps: 5, totalSteps: 20)
    #expect(abs(schedule.rate(at: step) - rate) < 1e-12)
  }

  @Test func `constant stays at the peak`() {
    let schedule = LearningRateSchedule(
      peak: 3e-4, decay: .constant, warmupSteps: 0, totalSteps: 10)
    #expect((0..<10).allSatisfy { schedule.rate(at: $0) == 3e-4 })
  }
}
