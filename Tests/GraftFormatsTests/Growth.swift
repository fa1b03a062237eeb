import Glibc

/// How many times as long work takes on eight times as much, each the fastest of three: 8 where it is linear, 64 where it is quadratic.
///
/// Time is that of the thread on its processor, so that a busy machine doesn't count.
func growth(upTo count: Int, _ work: (_ count: Int) throws -> Void) rethrows -> Double {
  func fastest(_ count: Int) throws -> Double {
    try (0..<3).map { _ in
      let began = processorSeconds()
      try work(count)
      return processorSeconds() - began
    }.min() ?? .infinity
  }
  return try fastest(count) / fastest(count / 8)
}

/// What growth is taken for linear.
let linearGrowth = 24.0

private func processorSeconds() -> Double {
  var time = timespec()
  unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
