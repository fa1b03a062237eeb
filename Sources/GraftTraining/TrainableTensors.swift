public import GraftCore

/// The f32 tensors that a run changes, with their optimizer state, ordered by name.
public struct TrainableTensors: Sendable {
  /// One trained tensor and what the optimizer keeps for it.
  struct Entry: Sendable {
    let name: TensorName
    let value: MemorySlice
    let gradient: MemorySlice
    let firstMoment: MemorySlice
    let secondMoment: MemorySlice
  }

  let entries: [Entry]

  /// Allocates optimizer state, all zero, for tensors that live in writable f32 memory.
  ///
  /// - Throws: ``StorageError`` when memory runs out.
  public init(_ tensors: [(name: TensorName, value: MemorySlice)]) throws(StorageError) {
    var entries: [Entry] = []
    for (name, value) in tensors.sorted(by: { $0.name < $1.name }) {
      precondition(value.dtype == .f32, "trained tensors are f32")
      entries.append(
        Entry(
          name: name, value: value, gradient: try MemorySlice(allocating: .f32, value.shape),
          firstMoment: try MemorySlice(allocating: .f32, value.shape),
          secondMoment: try MemorySlice(allocating: .f32, value.shape)))
    }
    self.entries = entries
  }

  /// The number of trained values.
  public var parameterCount: Int { entries.reduce(0) { $0 + $1.value.shape.elementCount } }

  /// The bytes of values, gradients and moments together.
  public var byteCount: Int { parameterCount * 16 }

  /// The trained tensors by name.
  public var tensors: [(name: TensorName, value: MemorySlice)] {
    entries.map { ($0.name, $0.value) }
  }

  /// The accumulated gradients, under the names of the tensors.
  package var gradients: [(name: TensorName, value: MemorySlice)] {
    entries.map { ($0.name, $0.gradient) }
  }

  /// Everything that a resumed run needs: values and moments under the names that the state file uses.
  package var stateTensors: [(name: TensorName, value: MemorySlice)] {
    entries.flatMap { entry in
      let moments = AdamW.moments(of: entry.name)
      return [
        (entry.name, entry.value), (moments.first, entry.firstMoment),
        (moments.second, entry.secondMoment),
      ]
    }
  }

  /// What the graphs bind: values, moments and gradients by name.
  var bindings: [TensorName: MemorySlice] {
    var result = Dictionary(uniqueKeysWithValues: stateTensors.map { ($0.name, $0.value) })
    for entry in entries { result[Self.gradientName(entry.name)] = entry.gradient }
    return result
  }

  static func gradientName(_ name: TensorName) -> TensorName {
    TensorName(name.text + ".gradient")
  }
}
