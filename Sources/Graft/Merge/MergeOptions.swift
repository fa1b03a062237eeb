public import GraftCore
internal import GraftFormats

/// An adapter and how much of it a merge takes.
public struct WeightedAdapter: Sendable {
  /// The adapter.
  public let checkpoint: OpenedCheckpoint
  /// The factor of its updates; an adapter with modules saved whole has weight 1.
  public let weight: Double

  /// Opens an adapter.
  ///
  /// - Throws: ``StorageError`` when nothing readable stands at the path.
  public init(path: String, weight: Double = 1) throws(StorageError) {
    checkpoint = try OpenedCheckpoint(path: path)
    self.weight = weight
  }
}

/// How a merge is done and written.
public struct MergeOptions: Sendable {
  /// The dtype that the merged floats are rounded to; nil keeps the base's.
  public var dtype: DType?
  /// The form of the output; nil follows the suffix of its path.
  ///
  /// A type that GGUF is asked for, and the base hasn't, is made of the sums as f32.
  public var form: OutputForm?
  /// Whether the written tensors are read back and compared with the base and the adapters once more.
  public var verifies = false
  /// Whether a checkpoint of another kind, or with other files, may be replaced.
  public var overwrites = false
  /// Whether what the form has no place for may be left out.
  public var allowsLoss = false
  /// The threads that work on tiles.
  public var threadCount: Int

  /// Makes options.
  ///
  /// - Precondition: the dtype is f16, bf16, f32, f64 or nil, and there is a thread.
  public init(
    dtype: DType? = nil, form: OutputForm? = nil, verifies: Bool = false, threadCount: Int = 2
  ) {
    precondition(dtype?.isComputableFloat ?? true, "a merge writes floats")
    precondition(threadCount > 0, "somebody works")
    self.dtype = dtype
    self.form = form
    self.verifies = verifies
    self.threadCount = threadCount
  }

  /// The type that the form gives matrices, whatever they have; nil where each keeps its own.
  func type(at path: String) -> DType? {
    guard case .gguf(let mixture?, _) = form ?? OutputForm(for: path) else { return nil }
    return mixture.dtype
  }

  /// How the merged model, whose floats have their dtype already, is written.
  var conversion: ConversionOptions {
    ConversionOptions(
      form: form, overwrites: overwrites, allowsLoss: allowsLoss, threadCount: threadCount)
  }
}
