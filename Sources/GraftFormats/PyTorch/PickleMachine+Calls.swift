internal import GraftCore

/// The meaning of the calls that a checkpoint may make.
extension PickleMachine {
  /// What a call gives.
  ///
  /// - Parameter makesObject: Whether the pickle asks for `cls.__new__` instead of a call.
  mutating func call(
    _ callee: PickleValue, _ arguments: PickleValue, makesObject: Bool
  ) throws(StorageError) -> PickleValue {
    guard let global = global(callee) else {
      throw violation("P-10", "a global to call", "something else")
    }
    guard case .tuple(let arguments) = arguments else {
      throw violation("P-10", "arguments as a tuple", "something else")
    }
    if makesObject, global != .orderedDictionary, global != .size, global != .set {
      throw failure(
        .refused(policy: "an object of a class made anew (pytorch P-10)", found: "\(global)"),
        remedy: PickleMachine.remedy)
    }
    switch global {
    case .orderedDictionary: return try ordered(arguments)
    case .rebuildTensor: return try tensor(arguments, count: 4...4)
    case .rebuildTensorV2: return try tensor(arguments, count: 6...7)
    case .rebuildTensorV3: return try typedTensor(arguments)
    case .rebuildParameter: return try parameter(arguments, count: 3...4)
    case .parameterClass: return try parameter(arguments, count: 1...2)
    case .rebuildFromType: return try rebuilt(arguments)
    case .rebuildOther(let kind): return try newWord(kind)
    case .size:
      guard arguments.count == 1, let extents = elements(item(0, of: arguments)) else {
        throw arity(global)
      }
      return try tuple(Array(extents))
    case .device: return try newWord("a device")
    case .layout: return try newWord("a layout")
    case .complex: return try newWord("a complex number")
    case .bytes: return try newWord("a byte array")
    case .encode:
      guard arguments.count > 0, case .text(let slice) = item(0, of: arguments) else {
        throw arity(global)
      }
      return .bytes(slice)
    case .set:
      guard arguments.count <= 1 else { throw arity(global) }
      return try newWord("a set")
    case .tensorClass, .storage, .element, .constant:
      throw violation("P-10", "a function that describes a tensor", "\(global)")
    }
  }

  private func arity(_ global: PickleGlobal) -> StorageError {
    violation("P-10", "the arguments of \(global)", "others")
  }

  /// An item of a tuple: arguments are looked at where they are, as a tuple of a million may be given to a million calls.
  private func item(_ position: Int, of tuple: PickleSlice) -> PickleValue {
    precondition(position >= 0 && position < Int(tuple.count), "an item of the tuple")
    return items[Int(tuple.start) + position]
  }

  private mutating func ordered(_ arguments: PickleSlice) throws(StorageError) -> PickleValue {
    guard arguments.count <= 1 else { throw arity(.orderedDictionary) }
    let place = try newDictionary(isOrdered: true)
    guard arguments.count == 1 else { return .dictionary(place) }
    guard let pairs = elements(item(0, of: arguments)) else { throw arity(.orderedDictionary) }
    for pair in pairs {
      guard let pair = elements(pair), pair.count == 2 else { throw arity(.orderedDictionary) }
      try addEntries(pair, to: place)
    }
    return .dictionary(place)
  }

  // MARK: - Tensors

  private mutating func tensor(
    _ arguments: PickleSlice, count: ClosedRange<UInt32>, as type: TorchType? = nil
  ) throws(StorageError) -> PickleValue {
    guard count.contains(arguments.count), case .storage(let place) = item(0, of: arguments),
      case .integer(let offset) = item(1, of: arguments),
      let extents = integers(item(2, of: arguments)),
      let strides = integers(item(3, of: arguments))
    else {
      throw violation("P-10", "a storage, an offset, extents and strides", "others")
    }
    let storage = storages[Int(place)]
    let type = type ?? storage.type
    guard extents.count == strides.count, extents.count <= Shape.maximumRank,
      extents.allSatisfy({ $0 >= 0 }), strides.allSatisfy({ $0 >= 0 }), offset >= 0
    else {
      throw violation(
        "P-15", "an offset, extents and strides of one rank, none negative",
        "\(offset), \(extents), \(strides)")
    }
    return try newTensor(
      PickledTensor(
        storage: Int(place), type: type, offset: offset, extents: extents, strides: strides))
  }

  /// A tensor with a dtype of its own over a storage of bytes.
  private mutating func typedTensor(_ arguments: PickleSlice) throws(StorageError) -> PickleValue {
    guard (7...8).contains(arguments.count),
      case .element(let type)? = global(item(6, of: arguments))
    else {
      throw violation("P-10", "a tensor's arguments and its dtype", "others")
    }
    return try tensor(arguments, count: 7...8, as: type)
  }

  private func parameter(
    _ arguments: PickleSlice, count: ClosedRange<UInt32>
  ) throws(StorageError) -> PickleValue {
    guard count.contains(arguments.count) else { throw arity(.rebuildParameter) }
    let tensor = item(0, of: arguments)
    switch tensor {
    case .tensor, .other: return tensor
    default: throw violation("P-10", "a tensor for a parameter", "something else")
    }
  }

  /// `_rebuild_from_type_v2(function, class, arguments, state)`: a tensor with attributes, which don't count.
  private mutating func rebuilt(_ arguments: PickleSlice) throws(StorageError) -> PickleValue {
    guard arguments.count == 4, let type = global(item(1, of: arguments)),
      type == .tensorClass || type == .parameterClass,
      let function = global(item(0, of: arguments)),
      function == .rebuildTensorV2 || function == .rebuildTensorV3 || function == .rebuildParameter
    else {
      throw violation("P-10", "a tensor's function, class, arguments and state", "others")
    }
    return try call(item(0, of: arguments), item(2, of: arguments), makesObject: false)
  }

  // MARK: - Storages

  private static let storageKind = Array("storage".utf8)

  /// The storage that a persistent id names: ('storage', class, key, location, elements[, view]).
  mutating func storage(_ identity: PickleValue) throws(StorageError) -> PickleValue {
    guard case .tuple(let fields) = identity, (5...6).contains(fields.count),
      case .text(let kind) = item(0, of: fields),
      cursor.bytes[kind.range].elementsEqual(Self.storageKind),
      case .storage(let type)? = global(item(1, of: fields)),
      case .text(let keySlice) = item(2, of: fields),
      case .text = item(3, of: fields), case .integer(let count) = item(4, of: fields)
    else {
      throw violation("P-13", "a storage's class, key, place and size", "others")
    }
    let isKey = cursor.bytes[keySlice.range].allSatisfy { byte in
      (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
    }
    guard isKey, keySlice.count > 0, keySlice.count <= 64 else {
      throw violation("P-13", "a key of letters and digits", "'\(text(keySlice))'")
    }
    let key = text(keySlice)
    guard count >= 0, !count.multipliedReportingOverflow(by: type.width).overflow else {
      throw violation("P-13", "a number of elements", "\(count)")
    }
    let whole = PickledStorage(key: key, type: type, total: count, count: count, offset: 0)
    guard fields.count == 6 else { return try newStorage(whole) }
    if case .none = item(5, of: fields) { return try newStorage(whole) }
    // A view of an older file: its key, the first element and how many there are.
    guard let view = elements(item(5, of: fields)).map(Array.init), view.count == 3,
      case .integer(let offset) = view[1], case .integer(let viewCount) = view[2], offset >= 0,
      viewCount >= 0, offset <= count, viewCount <= count - offset
    else {
      throw violation("P-13", "a view inside its storage", "another one")
    }
    return try newStorage(
      PickledStorage(key: key, type: type, total: count, count: viewCount, offset: offset))
  }

  // MARK: - State

  /// Gives the top of the stack a state: attributes of an ordered dictionary or a tensor, which don't count.
  mutating func build(_ state: PickleValue) throws(StorageError) {
    guard let target = try top() else { return }
    let hasAttributes: Bool =
      switch target {
      case .dictionary(let place): dictionaries[Int(place)].isOrdered
      case .tensor: true
      default: false
      }
    guard hasAttributes, case .dictionary(let place) = state else {
      throw failure(
        .refused(policy: "a state of something other than a tensor (pytorch P-11)", found: "BUILD"),
        remedy: PickleMachine.remedy)
    }
    // One dictionary may be the state of many values.
    try spend(dictionaries[Int(place)].entries.count)
    for entry in dictionaries[Int(place)].entries {
      guard case .text(let key) = entry.key,
        !cursor.bytes[key.range].starts(with: "__".utf8)
      else {
        throw failure(
          .refused(
            policy: "an attribute that isn't a plain name (pytorch P-11)",
            found: described(entry.key)),
          remedy: PickleMachine.remedy)
      }
    }
  }

  private func described(_ key: PickleValue) -> String {
    if case .text(let slice) = key { return "'\(text(slice))'" }
    return "a key that is no text"
  }
}
