internal import GraftKernels

/// Tokens in windows of one length, in an order that a seed decides.
///
/// Plain text is cut into consecutive windows. Examples get a window each, or share windows when they are packed; what is
/// longer than a window is cut, and counted. The first token of a passage is only read. A window that isn't full is padded.
public struct TokenWindows: Sendable {
  /// A target that contributes neither loss nor gradient.
  public static let ignored: Int32 = -1

  /// How passages are put into windows.
  public struct Filling: Sendable, Equatable {
    /// Tokens in a window.
    public var length: Int
    /// Whether examples share windows.
    public var packs: Bool
    /// Whether what remains of a plain text gets a window that isn't full.
    public var keepsTail: Bool
    /// The order in which examples are packed; nil for that of the files.
    public var seed: UInt64?

    /// Describes a filling.
    public init(length: Int, packs: Bool = false, keepsTail: Bool = false, seed: UInt64? = nil) {
      self.length = length
      self.packs = packs
      self.keepsTail = keepsTail
      self.seed = seed
    }
  }

  /// How the windows were filled.
  public let filling: Filling
  /// Examples in the data.
  public private(set) var exampleCount = 0
  /// Examples that were longer than a window.
  public private(set) var cutCount = 0
  /// Tokens in all windows, without padding.
  public private(set) var tokenCount = 0
  private let tokens: [Int32]
  private let isTarget: [Bool]
  /// The passages of all windows, and where those of each begin.
  private var pieces: [Range<Int>] = []
  private var starts: [Int] = [0]

  /// Puts a text's tokens into windows.
  ///
  /// - Throws: ``TrainingError`` when no window can be filled, or when a cut leaves an example without anything to predict.
  public init(_ text: TokenizedText, _ filling: Filling) throws(TrainingError) {
    self.filling = filling
    tokens = text.tokens
    isTarget = text.isTarget
    let length = filling.length
    var examples: [Range<Int>] = []
    var cut = 0
    for passage in text.passages {
      guard let origin = passage.origin else {
        append(text: passage.tokens)
        continue
      }
      let range = passage.tokens.prefix(length)
      if range.count < passage.tokens.count {
        cut += 1
        guard text.isTarget[range].dropFirst().contains(true) else {
          throw TrainingError(
            .badExample(
              expected: "something to predict within \(length) tokens",
              found: "a prompt that fills them"),
            file: text.files[origin.file], line: origin.line,
            remedy: "raise --sequence-length, or shorten the prompt")
        }
      }
      examples.append(range)
    }
    exampleCount = examples.count
    cutCount = cut
    if filling.packs {
      if let seed = filling.seed { RandomOrder.shuffle(&examples, seed: seed, .packing) }
      for window in Packing.firstFit(examples.map(\.count), capacity: length) {
        append(window.map { examples[$0] })
      }
    } else {
      for example in examples { append([example]) }
    }
    tokenCount = pieces.reduce(0) { $0 + $1.count }
    guard count > 0, length >= 2 else {
      throw TrainingError(
        .tooLittleData(tokens: text.tokens.count, needed: filling.keepsTail ? 2 : length),
        file: text.files.first, remedy: "give more text or a smaller --sequence-length")
    }
  }

  private mutating func append(text: Range<Int>) {
    let length = filling.length
    for start in stride(from: text.lowerBound, to: text.upperBound, by: length) {
      let end = min(start + length, text.upperBound)
      if end - start == length || (filling.keepsTail && end - start >= 2) { append([start..<end]) }
    }
  }

  private mutating func append(_ window: [Range<Int>]) {
    pieces += window
    starts.append(pieces.count)
  }

  // MARK: - Windows

  /// Tokens in a window.
  public var length: Int { filling.length }

  /// The number of windows.
  public var count: Int { starts.count - 1 }

  /// The tokens of a window without padding, in passages.
  func passages(_ window: Int) -> ArraySlice<Range<Int>> {
    pieces[starts[window]..<starts[window + 1]]
  }

  /// Tokens to predict in all windows.
  public var targetCount: Int { (0..<count).reduce(0) { $0 + targetCount(of: $1) } }

  /// Tokens to predict in a window.
  func targetCount(of window: Int) -> Int {
    passages(window).reduce(0) { sum, piece in sum + isTarget[piece].dropFirst().count { $0 } }
  }

  /// Tokens in a window, without padding.
  func tokenCount(of window: Int) -> Int { passages(window).reduce(0) { $0 + $1.count } }

  /// The tokens of a passage.
  func ids(_ passage: Range<Int>) -> ArraySlice<Int32> { tokens[passage] }

  /// For each position of a passage the token that follows it, or ``ignored``.
  func targets(_ passage: Range<Int>) -> [Int32] {
    passage.map { position in
      let next = position + 1
      return next < passage.upperBound && isTarget[next] ? tokens[next] : Self.ignored
    }
  }

  /// The windows in the order of one pass over the data.
  func order(epoch: Int, seed: UInt64, shuffles: Bool) -> [Int] {
    var order = Array(0..<count)
    if shuffles { RandomOrder.shuffle(&order, seed: seed, .shuffle, step: epoch) }
    return order
  }
}
