package import GraftCore

/// A copy of the trained tensors as they were when the validation loss was lowest.
package final class BestValues {
  private let current: [(name: TensorName, value: MemorySlice)]
  /// The copies, under the names that the state file uses.
  package let tensors: [(name: TensorName, value: MemorySlice)]

  /// Makes room for the copies.
  ///
  /// - Throws: ``StorageError`` when memory runs out.
  package init(of trainable: TrainableTensors) throws(StorageError) {
    current = trainable.tensors
    var copies: [(name: TensorName, value: MemorySlice)] = []
    for (name, value) in current {
      copies.append(
        (TensorName(name.text + ".best"), try MemorySlice(allocating: .f32, value.shape)))
    }
    tensors = copies
  }

  /// Copies the trained tensors as they are now.
  func capture() {
    for (now, best) in zip(current, tensors) { best.value.replaceBytes(now.value.bytes) }
  }

  /// Runs `body` while the trained tensors have the best values.
  func withBest(_ body: () throws -> Void) rethrows {
    let last = current.map { $0.value.floats() }
    for (now, best) in zip(current, tensors) { now.value.replaceBytes(best.value.bytes) }
    defer { for (now, values) in zip(current, last) { now.value.replaceElements(values) } }
    try body()
  }
}
