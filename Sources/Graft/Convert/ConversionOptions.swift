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

extension ConversionOptions {
  /// How a verb writes what it made, whose floats have their dtype already.
  init(form: OutputForm?, overwrites: Bool, allowsLoss: Bool, threadCount: Int) {
    self.init(form: form, threadCount: threadCount)
    self.overwrites = overwrites
    self.allowsLoss = allowsLoss
  }

  /// The dtype of all floats in a form: word vectors are f32.
  ///
  /// - Throws: ``StorageError`` for another one of word vectors.
  func storedDType(in form: OutputForm, at path: String) throws(StorageError) -> DType? {
    guard case .wordVectors = form else { return dtype }
    guard let dtype, dtype != .f32 else { return .f32 }
    throw StorageError(
      .notRepresentable(what: "\(dtype)", inFormat: form.description), file: path,
      remedy: "its numbers are f32: leave --dtype out")
  }
}
