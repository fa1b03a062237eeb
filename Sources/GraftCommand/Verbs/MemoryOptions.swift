import ArgumentParser
import Graft

/// How much memory training may take.
struct MemoryOptions: ParsableArguments {
  @Option(
    name: .long,
    help:
      "Most memory beside mapped weights, for example 700MB or 2GiB; as much is recomputed as that takes."
  )
  var memory: ByteSize?

  @Option(
    name: .long,
    help:
      "What the backward pass recomputes instead of keeping: none, block, or auto (the smallest memory; with --memory, the fastest that fits)."
  )
  var recompute = RecomputeOption.none

  func validate() throws {
    if memory != nil, recompute == .block {
      throw ValidationError("--memory chooses what is recomputed: leave --recompute block out")
    }
  }
}

/// What `--recompute` takes.
enum RecomputeOption: String, ExpressibleByArgument, CaseIterable {
  case none, block, auto

  var policy: RecomputePolicy {
    switch self {
    case .none: .none
    case .block: .block
    case .auto: .smallest
    }
  }
}
