/// How vectors are imported and the model is written.
public struct WarmStartOptions: Sendable {
  /// How long imported rows are made.
  public enum Scale: String, Sendable, CaseIterable {
    /// All as long as the table's rows are in the mean.
    case mean
    /// Each as long as the row that it replaces.
    case row
    /// As the vectors are.
    case none
  }

  /// How long imported rows are made.
  public var scale: Scale
  /// The form of the output; nil follows the suffix of its path.
  public var form: OutputForm?
  /// Whether a checkpoint of another kind, or with other files, may be replaced.
  public var overwrites: Bool
  /// Whether what the form has no place for may be left out.
  public var allowsLoss = false
  /// The threads that work on tiles.
  public var threadCount: Int

  /// Makes options.
  ///
  /// - Precondition: there is a thread.
  public init(
    scale: Scale = .mean, form: OutputForm? = nil, overwrites: Bool = false, threadCount: Int = 2
  ) {
    precondition(threadCount > 0, "somebody works")
    self.scale = scale
    self.form = form
    self.overwrites = overwrites
    self.threadCount = threadCount
  }

  /// How the model is written.
  var conversion: ConversionOptions {
    ConversionOptions(
      form: form, overwrites: overwrites, allowsLoss: allowsLoss, threadCount: threadCount)
  }
}
