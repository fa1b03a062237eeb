package import GraftCore

/// A copy of the trained tensors as they were when the validation loss was lowest.
package final class BestValues {
  private let current: [(name: TensorName, value: MemorySlice)]
  /// The copies, under the names that the state file uses.
  package let tensors: [(name: TensorName, value: MemorySlice)]

  /// The bytes of the copies of some trained tensors.
  package static func byteCount(of trainable: TrainableTensors) -> Int {
    trainable.tensors.reduce(0) { $0 + Memory.pages($1.value.byteCount) }
  }

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

  /// Runs `body` while the trained tensors have the best values; the two change places, so that there is no third copy.
  func withBest(_ body: () throws -> Void) rethrows {
    exchange()
    defer { exchange() }
    try body()
  }

  private func exchange() {
    for (now, best) in zip(current, tensors) { now.value.exchangeBytes(with: best.value) }
  }
}
