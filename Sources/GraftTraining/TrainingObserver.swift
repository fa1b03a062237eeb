public import GraftCore

/// What happens to a run's results; the facade writes them to disk.
public protocol TrainingObserver: AnyObject {
  /// A step is finished.
  func finished(_ record: StepRecord) throws
  /// The state is to be saved: everything that `tensors` names, and the position.
  func save(_ tensors: [(name: TensorName, value: MemorySlice)], at position: TrainingPosition)
    throws
  /// What is trained is to be written as it is now.
  func writeResult() throws
  /// What is trained is to be kept as it is now, beside the result, as that of a step; of all kept, the last `count` stay.
  func keepSnapshot(step: Int, last count: Int) throws
  /// Whether the user asked to stop.
  var isInterrupted: Bool { get }
}
