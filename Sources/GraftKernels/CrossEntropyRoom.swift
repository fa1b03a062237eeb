package import GraftCore

/// How the loss head cuts its work, and the scratch that a worker needs for a run of tokens.
package struct CrossEntropyRoom: Sendable {
  let vocabulary: Int
  let hidden: Int
  /// The dtype in which a run's exponentials wait for the second product.
  let kept: DType

  /// Describes the work of a head [vocabulary, hidden].
  package init(vocabulary: Int, hidden: Int, kept: DType) {
    self.vocabulary = vocabulary
    self.hidden = hidden
    self.kept = kept
  }

  /// Words at once.
  var chunk: Int { min(vocabulary, 4096) }

  /// Tokens of a task.
  package var rowsPerTask: Int {
    max(16, min(128, (14 << 20) / (vocabulary * kept.layout.bytes) / 16 * 16))
  }

  /// Logits of a chunk, exponentials of all words, statistics and the gradient of a run of tokens.
  var floatCount: Int {
    let chunks = (vocabulary + chunk - 1) / chunk
    return rowsPerTask
      * (chunk + vocabulary * kept.layout.bytes / 4 + 1 + 2 * chunks + hidden + 3)
  }

  /// The bytes of a worker's scratch.
  package var byteCount: Int { floatCount * 4 }
}
