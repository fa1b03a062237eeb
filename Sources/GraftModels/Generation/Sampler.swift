internal import GraftKernels
internal import Glibc

/// Chooses the next token from logits: the likeliest, or at random by temperature and nucleus.
public struct Sampler: Sendable, Equatable {
  /// 0 takes the likeliest token; otherwise logits are divided by it.
  public var temperature: Float
  /// The likeliest tokens whose probabilities reach this sum are kept (Holtzman et al., arXiv 1904.09751).
  public var topP: Float
  /// Decides the random numbers, together with the position.
  public var seed: UInt64

  /// Describes a sampler; the defaults are greedy.
  public init(temperature: Float = 0, topP: Float = 1, seed: UInt64 = 0) {
    self.temperature = temperature
    self.topP = topP
    self.seed = seed
  }

  /// The token chosen at a position; ties go to the lowest id.
  public func choose(_ logits: [Float], position: Int) -> Int32 {
    guard !logits.isEmpty else { return 0 }
    var best = 0
    for token in logits.indices where logits[token] > logits[best] { best = token }
    guard temperature > 0 else { return Int32(best) }
    let weights = logits.map { exp(Double(($0 - logits[best]) / temperature)) }
    let total = weights.reduce(0, +)
    let order = weights.indices.sorted { weights[$0] > weights[$1] }
    var kept = 0
    var mass = 0.0
    while kept < order.count, kept == 0 || mass < Double(topP) * total {
      mass += weights[order[kept]]
      kept += 1
    }
    let word = RandomStream.word(
      seed: seed, stream: Self.stream, step: UInt64(position), index: 0)
    var rest = (Double(word) + 0.5) / 4294967296 * mass
    for token in order.prefix(kept) {
      rest -= weights[token]
      if rest <= 0 { return Int32(token) }
    }
    return Int32(order[kept - 1])
  }

  private static let stream: UInt64 = 3
}
