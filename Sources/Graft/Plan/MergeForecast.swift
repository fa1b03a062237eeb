/// Everything that a merge would do, known without writing.
public struct MergeForecast: Sendable {
  /// The tensors that adapters change or bring, in the order of the base.
  public let tensors: [MergePlan.Planned]
  /// The tensors that are copied or only change their dtype.
  public let copiedCount: Int
  /// Bytes of the base's tensors that are read.
  public let baseByteCount: Int
  /// Bytes of each adapter's tensors, in the order of the adapters.
  public let adapterByteCounts: [Int]
  /// The tensors of the result.
  public let tensorCount: Int
  /// Bytes of the result's tensors, before any compression.
  public let byteCount: Int
  /// The files of the result: below its path, or beside each other; those with tensors come first.
  public let fileNames: [String]
  /// The most bytes of buffers, beside what the process holds already.
  public let bufferByteCount: Int
  /// What the form of the result has no place for, and would be left out.
  public let losses: [ConversionLoss]
  /// What is left out in any case, as of a conversion.
  public let notes: [ConversionLoss]
}
