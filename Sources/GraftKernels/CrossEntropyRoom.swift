internal import GraftCore

/// How the loss head cuts its work, and the scratch that a worker needs for a run of tokens.
struct CrossEntropyRoom: Sendable {
  let vocabulary: Int
  let hidden: Int
  /// The dtype in which a run's exponentials wait for the second product.
  let kept: DType

  /// Words and tokens that a task of the head's gradient takes at once.
  static let (wordsOfGradient, tokensOfGradient) = (512, 256)

  /// Describes the work on tokens of a head [vocabulary, hidden].
  init(_ x: DType, _ head: DType, _ shape: Shape, bf16: Bool) {
    vocabulary = shape.rows
    hidden = shape.columns
    kept = bf16 && head == .bf16 && x == .bf16 ? .bf16 : .f32
  }

  /// Words at once.
  var chunk: Int { min(vocabulary, 4096) }

  /// Tokens of a task.
  var rowsPerTask: Int {
    max(16, min(128, (14 << 20) / (vocabulary * kept.layout.bytes) / 16 * 16))
  }

  /// Logits of a chunk, exponentials of all words, statistics and the gradient of a run of tokens.
  var floatCount: Int {
    let chunks = (vocabulary + chunk - 1) / chunk
    return rowsPerTask
      * (chunk + vocabulary * kept.layout.bytes / 4 + 1 + 2 * chunks + hidden + 3)
  }
}
