internal import GraftKernels

/// Tokens cut into windows of one length, in an order that a seed decides.
///
/// Windows are consecutive and don't overlap; a window predicts its second to last tokens, so the first token of each is
/// only read. Tokens that don't fill a last window are left out.
public struct TokenWindows: Sendable {
  /// A target that contributes neither loss nor gradient.
  public static let ignored: Int32 = -1

  /// Tokens in a window.
  public let length: Int
  private let tokens: [Int32]
  private let isTarget: [Bool]

  /// Cuts a text's tokens into windows.
  ///
  /// - Throws: ``TrainingError`` when there are fewer tokens than one window.
  public init(_ text: TokenizedText, length: Int) throws(TrainingError) {
    guard text.tokens.count >= length, length >= 2 else {
      throw TrainingError(
        .tooLittleData(tokens: text.tokens.count, needed: length), file: text.files.first,
        remedy: "give more text or a smaller --sequence-length")
    }
    self.length = length
    tokens = text.tokens
    isTarget = text.isTarget
  }

  /// The number of windows.
  public var count: Int { tokens.count / length }

  /// The tokens of a window.
  func ids(_ window: Int) -> ArraySlice<Int32> {
    tokens[window * length..<(window + 1) * length]
  }

  /// For each position of a window the token that follows it, or ``ignored``.
  func targets(_ window: Int) -> [Int32] {
    let start = window * length
    return (start..<start + length).map { position in
      let next = position + 1
      return next < start + length && isTarget[next] ? tokens[next] : Self.ignored
    }
  }

  /// The windows in the order of one pass over the data: a Fisher–Yates shuffle by counter-based random numbers.
  func order(epoch: Int, seed: UInt64, shuffles: Bool) -> [Int] {
    var order = Array(0..<count)
    guard shuffles else { return order }
    for last in stride(from: count - 1, to: 0, by: -1) {
      let word = RandomStream.word(
        seed: seed, stream: RandomPurpose.shuffle, step: UInt64(epoch), index: UInt64(last))
      order.swapAt(last, Int(UInt64(word) * UInt64(last + 1) >> 32))
    }
    return order
  }
}

/// What a random stream is for; streams with different purposes never share numbers.
enum RandomPurpose {
  static let initialization: UInt64 = 1
  static let shuffle: UInt64 = 2
}
