public import GraftCore

/// The f32 tensors that a run changes, with their gradients and optimizer state, ordered by name.
public struct TrainableTensors: Sendable {
  /// One trained tensor and what is kept for it.
  struct Entry: Sendable {
    let name: TensorName
    let value: MemorySlice
    let gradient: MemorySlice
    let state: [(name: TensorName, value: MemorySlice)]
    /// The place of its group in ``TrainableTensors/groups``.
    let group: Int
  }

  let entries: [Entry]
  /// The groups of tensors that an optimizer treats alike.
  package let groups: [ParameterGroup]

  /// Allocates gradients and optimizer state, all zero, for tensors that live in writable f32 memory.
  ///
  /// - Parameter loraPlusRatio: the learning rate of the adapters' B by that of A (LoRA+, arXiv 2402.12354).
  /// - Throws: ``StorageError`` when memory runs out.
  public init(
    _ tensors: [(name: TensorName, value: MemorySlice)], optimizer: Optimizer,
    loraPlusRatio: Double = 1
  ) throws(StorageError) {
    var entries: [Entry] = []
    var groups: [ParameterGroup] = []
    for (name, value) in tensors.sorted(by: { $0.name < $1.name }) {
      precondition(value.dtype == .f32, "trained tensors are f32")
      let group = ParameterGroup(
        of: name, shape: value.shape, optimizer: optimizer, loraPlusRatio: loraPlusRatio)
      let place = groups.firstIndex { $0.name == group.name } ?? groups.count
      if place == groups.count { groups.append(group) }
      var state: [(name: TensorName, value: MemorySlice)] = []
      for tensor in group.rule.state(for: value.shape) {
        state.append((tensor.name(for: name), try MemorySlice(allocating: .f32, tensor.shape)))
      }
      entries.append(
        Entry(
          name: name, value: value, gradient: try MemorySlice(allocating: .f32, value.shape),
          state: state, group: place))
    }
    self.entries = entries
    self.groups = groups
  }

  /// The number of trained values.
  public var parameterCount: Int { entries.reduce(0) { $0 + $1.value.shape.elementCount } }

  /// The bytes of values, gradients and optimizer state together.
  public var byteCount: Int {
    let elements = entries.reduce(0) { sum, entry in
      entry.state.reduce(sum + 2 * entry.value.shape.elementCount) {
        $0 + $1.value.shape.elementCount
      }
    }
    return elements * 4
  }

  /// The trained tensors by name.
  public var tensors: [(name: TensorName, value: MemorySlice)] {
    entries.map { ($0.name, $0.value) }
  }

  /// The accumulated gradients, under the names of the tensors.
  package var gradients: [(name: TensorName, value: MemorySlice)] {
    entries.map { ($0.name, $0.gradient) }
  }

  /// The accumulated gradients, under the names that the state file uses.
  package var accumulators: [(name: TensorName, value: MemorySlice)] {
    entries.map { (Self.gradientName($0.name), $0.gradient) }
  }

  /// Everything that a run resumed between two steps needs: values and optimizer state under the names that the state file uses.
  package var stateTensors: [(name: TensorName, value: MemorySlice)] {
    entries.flatMap { [($0.name, $0.value)] + $0.state }
  }

  /// What the graphs bind: values, optimizer state and gradients by name.
  var bindings: [TensorName: MemorySlice] {
    var result = Dictionary(uniqueKeysWithValues: stateTensors.map { ($0.name, $0.value) })
    for entry in entries { result[Self.gradientName(entry.name)] = entry.gradient }
    return result
  }

  static func gradientName(_ name: TensorName) -> TensorName {
    TensorName(name.text + ".gradient")
  }
}
