internal import GraftCore

/// What each opcode does to the stack.
extension PickleMachine {
  /// Follows one opcode; `STOP` is the caller's.
  mutating func follow(_ opcode: PickleOpcode) throws(StorageError) {
    switch opcode {
    case .proto: throw violation("P-3", "the protocol at the start only", "it again")
    case .stop: break
    case .frame: try cursor.beginFrame()
    case .mark: try mark()
    case .none: try push(.none)
    case .newTrue: try push(.boolean(true))
    case .newFalse: try push(.boolean(false))
    case .byte: try push(.integer(Int(try cursor.byte())))
    case .short: try push(.integer(Int(try cursor.number(2))))
    case .int:
      try push(.integer(Int(Int32(truncatingIfNeeded: try cursor.number(4)))))
    // What is read comes first: an argument that moves the cursor would have the machine copied for the call around it.
    case .long1:
      let bytes = try cursor.counted(1)
      try push(integer(bytes))
    case .long4:
      let bytes = try cursor.counted(4)
      try push(integer(bytes))
    case .float:
      try push(.real(Double(bitPattern: try cursor.number(8).byteSwapped)))
    case .unicode, .string4: try push(.text(try cursor.counted(4)))
    case .shortUnicode, .shortString: try push(.text(try cursor.counted(1)))
    case .unicode8: try push(.text(try cursor.counted(8)))
    case .shortBytes: try push(.bytes(try cursor.counted(1)))
    case .bytes4: try push(.bytes(try cursor.counted(4)))
    case .bytes8, .byteArray8: try push(.bytes(try cursor.counted(8)))
    case .emptyTuple: try push(tuple([]))
    case .tuple1: try push(tuple(ofTop: 1))
    case .tuple2: try push(tuple(ofTop: 2))
    case .tuple3: try push(tuple(ofTop: 3))
    case .tuple: try push(tupleToMark())
    case .emptyList: try push(.list(newList([])))
    case .emptySet: try push(.set(newList([])))
    case .frozenSet: try push(.set(newList(poppedToMark())))
    case .emptyDictionary: try push(.dictionary(newDictionary(isOrdered: false)))
    case .append: try append([pop()])
    case .appends: try append(poppedToMark())
    case .addItems:
      let added = try poppedToMark()
      guard case .set(let list)? = try top() else {
        throw violation("P-12", "a set to add items to", "something else")
      }
      try add(added, to: list)
    case .setItem:
      let (key, value) = try poppedPair()
      try setItems([key, value])
    case .setItems: try setItems(poppedToMark()[...])
    case .global:
      let start = cursor.position
      _ = try cursor.line()
      _ = try cursor.line()
      try push(.global(global(at: start..<cursor.position)))
    case .stackGlobal:
      guard case (.text(let module), .text(let name)) = try poppedPair() else {
        throw violation("P-9", "the name of a global as two texts", "something else")
      }
      try push(.global(global(text(module), text(name))))
    case .put: try remember(Int(try cursor.byte()))
    case .longPut: try remember(Int(try cursor.number(4)))
    case .memoize: try remember(nil)
    case .get:
      let place = Int(try cursor.byte())
      try push(recalled(place))
    case .longGet:
      let place = Int(try cursor.number(4))
      try push(recalled(place))
    case .persistentID: try push(storage(pop()))
    case .reduce, .newObject:
      let (callee, arguments) = try poppedPair()
      try push(call(callee, arguments, makesObject: opcode == .newObject))
    case .build:
      let state = try pop()
      try build(state)
    }
  }

  // MARK: - Operands

  private func integer(_ slice: PickleSlice) -> PickleValue {
    guard slice.count <= 8 else { return .wideInteger(slice) }
    var value: UInt64 = 0
    for (shift, place) in slice.range.enumerated() {
      value |= UInt64(cursor.bytes[place]) << UInt64(8 * shift)
    }
    guard slice.count > 0 else { return .integer(0) }
    let unused = UInt64(64 - 8 * Int(slice.count))
    return .integer(Int(Int64(bitPattern: value << unused) >> Int64(unused)))
  }

  /// The global named by the two lines of a range.
  private mutating func global(at range: Range<Int>) throws(StorageError) -> Int32 {
    let lines = text(PickleSlice(range)).split(
      separator: "\n", omittingEmptySubsequences: false)
    return try global(String(lines[0]), lines.count > 1 ? String(lines[1]) : "")
  }

  private mutating func append(_ values: [PickleValue]) throws(StorageError) {
    guard case .list(let place)? = try top() else {
      throw violation("P-12", "a list to append to", "something else")
    }
    try add(values, to: place)
  }

  private mutating func setItems(_ values: ArraySlice<PickleValue>) throws(StorageError) {
    guard case .dictionary(let place)? = try top() else {
      throw violation("P-12", "a dictionary to set items of", "something else")
    }
    guard values.count % 2 == 0 else {
      throw violation("P-12", "keys with values", "\(values.count) of both")
    }
    try addEntries(values, to: place)
  }
}
