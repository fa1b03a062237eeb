internal import GraftCore

/// What a pickle holds, by name: the path of keys and positions to it, joined by dots.
struct PickleTree {
  /// The tensors, with their places in the machine's table.
  private(set) var tensors: [(name: TensorName, place: Int)] = []
  /// Tensors of kinds that aren't read, with words for them.
  private(set) var unreadable: [UnreadableTensor] = []
  /// Everything else, as JSON.
  private(set) var metadata: [MetadataEntry] = []
  /// The keys of metadata too long to be kept whole.
  private(set) var cutKeys: [String] = []

  private let machine: PickleMachine
  private let limits: FormatLimits
  private var names = DistinctNames()
  private var holdings: [Container: Bool] = [:]
  /// The leaves, bytes of names and bytes of texts that may still come.
  private var leafAllowance: Int
  private var nameAllowance: Int
  private var textAllowance: Int

  /// The name of a tensor that is the whole pickle.
  static let soleName: TensorName = "tensor"

  /// Walks through what a machine read.
  ///
  /// - Throws: ``StorageError`` for two values of one name, or nesting and sharing beyond the limits.
  init(_ root: PickleValue, of machine: PickleMachine, limits: FormatLimits) throws(StorageError) {
    self.machine = machine
    self.limits = limits
    let byteCount = machine.cursor.bytes.count
    leafAllowance = min(limits.tensors, byteCount)
    nameAllowance = limits.pickleNames + byteCount
    textAllowance = limits.pickleNames + byteCount
    names = DistinctNames(reserving: machine.tensors.count)
    tensors.reserveCapacity(machine.tensors.count)
    if case .tensor = root {
      try add(root, at: Self.soleName.utf8, depth: 0)
    } else {
      try add(root, at: [], depth: 0)
    }
  }

  private enum Container: Hashable {
    case tuple(PickleSlice)
    case list(Int32)
    case dictionary(Int32)
  }

  private func container(_ value: PickleValue) -> Container? {
    switch value {
    case .tuple(let slice): .tuple(slice)
    case .list(let place): .list(place)
    case .dictionary(let place): .dictionary(place)
    default: nil
    }
  }

  private mutating func add(
    _ value: PickleValue, at path: [UInt8], depth: Int
  ) throws(StorageError) {
    switch value {
    case .tensor(let place):
      tensors.append((try leaf(path), Int(place)))
    case .other(let place) where machine.words[Int(place)].contains("tensor"):
      unreadable.append(UnreadableTensor(name: try leaf(path), kind: machine.words[Int(place)]))
    case .dictionary, .list, .tuple:
      // A container that was met before, where less was around it, isn't asked again.
      try checkDepth(depth)
      // The members of the pickle itself have names, whatever they are, and an empty one has none.
      if depth > 0, try !holdsTensors(value, depth: depth) { return try addText(value, at: path) }
      if case .dictionary(let place) = value {
        for entry in machine.dictionaries[Int(place)].entries {
          try add(entry.value, at: joined(path, key(entry.key)), depth: depth + 1)
        }
      } else {
        for (position, item) in (machine.elements(value) ?? []).enumerated() {
          try add(item, at: joined(path, "\(position)".utf8), depth: depth + 1)
        }
      }
    case .storage:
      unreadable.append(UnreadableTensor(name: try leaf(path), kind: "a storage without a tensor"))
    default: try addText(value, at: path)
    }
  }

  private func joined(_ path: [UInt8], _ key: some Sequence<UInt8>) -> [UInt8] {
    path.isEmpty ? Array(key) : path + [UInt8(ascii: ".")] + key
  }

  private func key(_ value: PickleValue) -> ArraySlice<UInt8> {
    if case .text(let slice) = value { return machine.cursor.bytes[slice.range] }
    var text = PickleText(machine, limit: 256)
    text.append(value)
    return Array(text.result.utf8)[...]
  }

  /// The name of a leaf, which must be new.
  private mutating func leaf(_ path: [UInt8]) throws(StorageError) -> TensorName {
    leafAllowance -= 1
    nameAllowance -= path.count
    guard leafAllowance >= 0, nameAllowance >= 0 else {
      throw failure(
        .limitExceeded(
          limit: "named values of a pickle (pytorch P-16)",
          maximum: min(limits.tensors, machine.cursor.bytes.count), found: "another one"))
    }
    let name = TensorName(utf8: path)
    guard names.insert(name) else {
      throw .repeated(
        name, rule: "pytorch P-17", file: machine.cursor.file, tensor: name,
        offset: machine.cursor.base)
    }
    return name
  }

  private mutating func addText(_ value: PickleValue, at path: [UInt8]) throws(StorageError) {
    let name = try leaf(path)
    let limit = min(limits.pickleTextBytes, max(0, textAllowance))
    var text = PickleText(machine, limit: limit)
    text.append(value)
    // What is looked at in vain counts, too.
    textAllowance -= text.isFull ? limit : text.result.utf8.count
    if text.isCut { cutKeys.append(name.text) }
    metadata.append(MetadataEntry(key: name.text, value: text.result))
  }

  /// Whether there are tensors below a container, each container asked once.
  private mutating func holdsTensors(_ value: PickleValue, depth: Int) throws(StorageError) -> Bool
  {
    guard let container = container(value) else {
      switch value {
      case .tensor, .storage: return true
      case .other(let place): return machine.words[Int(place)].contains("tensor")
      default: return false
      }
    }
    if let known = holdings[container] { return known }
    try checkDepth(depth)
    var result = false
    if case .dictionary(let place) = container {
      for entry in machine.dictionaries[Int(place)].entries
      where try holdsTensors(entry.value, depth: depth + 1) { result = true }
    } else {
      for item in machine.elements(value) ?? []
      where try holdsTensors(item, depth: depth + 1) { result = true }
    }
    holdings[container] = result
    return result
  }

  private func checkDepth(_ depth: Int) throws(StorageError) {
    guard depth < limits.pickleDepth else {
      throw failure(
        .limitExceeded(
          limit: "levels of a pickle (pytorch P-16)", maximum: limits.pickleDepth,
          found: "another one"))
    }
  }

  private func failure(_ reason: StorageError.Reason, _ name: TensorName? = nil) -> StorageError {
    StorageError(reason, file: machine.cursor.file, tensor: name, offset: machine.cursor.base)
  }
}
