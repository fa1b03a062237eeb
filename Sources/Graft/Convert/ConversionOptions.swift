public import GraftCore

/// How a conversion is done.
public struct ConversionOptions: Sendable {
  /// The form; nil follows the suffix of the target.
  public var form: OutputForm?
  /// The dtype of all floats; nil keeps each, and makes quantized ones bf16.
  public var dtype: DType?
  /// Whether a checkpoint of another kind, or with other files, may be replaced.
  public var overwrites = false
  /// Whether what the target has no place for may be left out.
  public var allowsLoss = false
  /// The threads that work on tiles.
  public var threadCount: Int

  /// Makes options.
  ///
  /// - Precondition: the dtype is f16, bf16, f32 or nil, and there is a thread.
  public init(form: OutputForm? = nil, dtype: DType? = nil, threadCount: Int = 2) {
    precondition(dtype?.isComputableFloat ?? true, "a conversion writes floats")
    precondition(threadCount > 0, "somebody works")
    self.form = form
    self.dtype = dtype
    self.threadCount = threadCount
  }
}
