internal import GraftCore

/// Reads a pickle without executing anything: it follows the stack and notes what the pickle describes.
///
/// The opcodes are those of the protocols 2 to 5 that state dictionaries need; the globals a list of names. Budgets grow with the bytes
/// of the pickle, never with what it claims to hold. The rules are those of `Formats/pytorch/SPEC.md`.
struct PickleMachine {
  var cursor: PickleCursor
  private let limits: FormatLimits
  private var stack: [PickleValue] = []
  /// The heights of the stack at which marks stand.
  private var marks: [Int] = []
  private var memo: [PickleValue] = []
  private var sparseMemo: [Int: PickleValue] = [:]
  /// The values that tables may take, and those that they may still take.
  private let mostValues: Int
  private var allowance: Int
  /// Where the opcode being followed stands.
  private(set) var opcodeStart = 0

  // MARK: - Tables

  /// The items of all tuples.
  private(set) var items: [PickleValue] = []
  private(set) var lists: [[PickleValue]] = []
  private(set) var dictionaries: [PickledDictionary] = []
  private(set) var globals: [PickleGlobal] = []
  private(set) var storages: [PickledStorage] = []
  private(set) var tensors: [PickledTensor] = []
  private(set) var words: [String] = []
  private var globalNames: [String: Int32] = [:]
  private var knownStorages = NameTable()
  private var knownIntegers = RecentIntegers()
  private var knownWords: [String: Int32] = [:]

  /// A dictionary's entries in order.
  struct PickledDictionary {
    var entries: [(key: PickleValue, value: PickleValue)] = []
    /// Whether it may have attributes.
    var isOrdered = false
  }

  /// Begins before a pickle.
  ///
  /// - Parameter memberCount: The members of the archive that it stands in, each of which takes a hundred bytes of the file or more.
  init(
    _ bytes: [UInt8], file: String, base: Int?, memberCount: Int = 0,
    limits: FormatLimits = .standard
  ) {
    cursor = PickleCursor(bytes, file: file, base: base)
    self.limits = limits
    mostValues =
      limits.pickleValues + bytes.count / 6 + limits.pickleValuesOfMember * memberCount
    allowance = mostValues
    // A table that outgrows its room is there twice while it moves.
    items.reserveCapacity(min(bytes.count / 4, Self.mostReserved))
    tensors.reserveCapacity(min(memberCount, Self.mostReserved))
    storages.reserveCapacity(min(memberCount, Self.mostReserved))
    knownStorages = NameTable(reserving: memberCount)
  }

  private static let mostReserved = 1 << 22

  /// Follows one pickle to its end.
  ///
  /// - Throws: ``StorageError`` with the broken rule and the byte.
  mutating func run() throws(StorageError) -> PickleValue {
    (stack, marks, memo, sparseMemo) = ([], [], [], [:])
    opcodeStart = cursor.position
    guard try cursor.opcode() == PickleOpcode.proto.rawValue else {
      throw violation("P-3", "a pickle of protocol 2 to 5", "another beginning")
    }
    let version = try cursor.byte()
    guard (2...5).contains(version) else {
      throw failure(
        .unsupported(feature: "pickle protocol (pytorch P-3)", found: "\(version)"))
    }
    while true {
      opcodeStart = cursor.position
      let byte = try cursor.opcode()
      guard let opcode = PickleOpcode(rawValue: byte) else { throw refused(byte) }
      if opcode == .stop {
        try cursor.checkFrameEnd()
        let result = try pop()
        guard stack.isEmpty, marks.isEmpty else {
          throw violation("P-7", "one value at the end", "\(stack.count + 1)")
        }
        return result
      }
      try follow(opcode)
    }
  }

  // MARK: - Stack, memo and budgets

  private var floor: Int { marks.last ?? 0 }

  mutating func push(_ value: PickleValue) throws(StorageError) {
    try checkHeight(stack.count)
    stack.append(value)
  }

  /// Puts a mark on the stack.
  mutating func mark() throws(StorageError) {
    try checkHeight(marks.count)
    marks.append(stack.count)
  }

  private func checkHeight(_ height: Int) throws(StorageError) {
    guard height < limits.pickleStack else {
      throw failure(
        .limitExceeded(
          limit: "values on a pickle's stack (pytorch P-16)", maximum: limits.pickleStack,
          found: "another one"))
    }
  }

  mutating func pop() throws(StorageError) -> PickleValue {
    guard stack.count > floor, let value = stack.popLast() else {
      throw violation("P-7", "a value on the stack", "none")
    }
    return value
  }

  func top() throws(StorageError) -> PickleValue? {
    guard stack.count > floor else { throw violation("P-7", "a value on the stack", "none") }
    return stack.last
  }

  /// The two values on top of the stack, the upper one last.
  mutating func poppedPair() throws(StorageError) -> (PickleValue, PickleValue) {
    try checkDepth(2)
    let upper = stack.removeLast()
    return (stack.removeLast(), upper)
  }

  private func checkDepth(_ count: Int) throws(StorageError) {
    guard stack.count - floor >= count else {
      throw violation("P-7", "\(count) values on the stack", "\(stack.count - floor)")
    }
  }

  mutating func poppedToMark() throws(StorageError) -> [PickleValue] {
    guard let mark = marks.popLast() else { throw violation("P-7", "a mark", "none") }
    let values = Array(stack[mark...])
    stack.removeSubrange(mark...)
    return values
  }

  /// Remembers the top of the stack.
  ///
  /// - Parameter index: The place in the memo; nil takes the next one.
  mutating func remember(_ index: Int?) throws(StorageError) {
    guard let value = try top() else { return }
    let index = index ?? memo.count + sparseMemo.count
    if index < memo.count {
      memo[index] = value
    } else if index == memo.count {
      memo.append(value)
    } else {
      sparseMemo[index] = value
    }
    guard memo.count + sparseMemo.count <= limits.pickleMemo + cursor.bytes.count / 8 else {
      throw failure(
        .limitExceeded(
          limit: "remembered values (pytorch P-16)",
          maximum: limits.pickleMemo + cursor.bytes.count / 8, found: "another one"))
    }
  }

  func recalled(_ index: Int) throws(StorageError) -> PickleValue {
    if index < memo.count { return memo[index] }
    guard let value = sparseMemo[index] else {
      throw violation("P-8", "a remembered value", "none at \(index)")
    }
    return value
  }

  mutating func spend(_ count: Int) throws(StorageError) {
    allowance -= count
    guard allowance >= 0 else {
      throw failure(
        .limitExceeded(
          limit: "values of a pickle (pytorch P-16)", maximum: mostValues, found: "another one"))
    }
  }

  // MARK: - Values

  /// The text of a slice; what isn't UTF-8 is replaced.
  func text(_ slice: PickleSlice) -> String {
    String(decoding: cursor.bytes[slice.range], as: UTF8.self)
  }

  mutating func tuple(_ values: [PickleValue]) throws(StorageError) -> PickleValue {
    try spend(values.count + 1)
    let start = items.count
    items += values
    return .tuple(PickleSlice(start..<items.count))
  }

  /// A tuple of the values on top of the stack, which it takes away.
  mutating func tuple(ofTop count: Int) throws(StorageError) -> PickleValue {
    try checkDepth(count)
    try spend(count + 1)
    let start = items.count
    items += stack[(stack.count - count)...]
    stack.removeLast(count)
    return .tuple(PickleSlice(start..<items.count))
  }

  /// A tuple of the values above the last mark, which it takes away with the mark.
  mutating func tupleToMark() throws(StorageError) -> PickleValue {
    guard let mark = marks.popLast() else { throw violation("P-7", "a mark", "none") }
    return try tuple(ofTop: stack.count - mark)
  }

  /// The items of a tuple or a list.
  func elements(_ value: PickleValue) -> ArraySlice<PickleValue>? {
    switch value {
    case .tuple(let slice): items[slice.range]
    case .list(let place): lists[Int(place)][...]
    default: nil
    }
  }

  /// The items of a tuple or a list as whole numbers; nil where others are among them.
  mutating func integers(_ value: PickleValue) -> [Int]? {
    switch value {
    case .tuple(let slice): knownIntegers.list(of: items[slice.range])
    case .list(let place): knownIntegers.list(of: lists[Int(place)][...])
    default: nil
    }
  }

  mutating func newList(_ values: [PickleValue]) throws(StorageError) -> Int32 {
    try spend(values.count + 4)
    lists.append(values)
    return Int32(lists.count - 1)
  }

  /// Adds values to a list or a set.
  mutating func add(_ values: [PickleValue], to list: Int32) throws(StorageError) {
    try spend(values.count)
    lists[Int(list)] += values
  }

  mutating func newDictionary(isOrdered: Bool) throws(StorageError) -> Int32 {
    try spend(4)
    dictionaries.append(PickledDictionary(isOrdered: isOrdered))
    return Int32(dictionaries.count - 1)
  }

  mutating func newWord(_ word: String) throws(StorageError) -> PickleValue {
    if let known = knownWords[word] { return .other(known) }
    try spend(8)
    words.append(word)
    knownWords[word] = Int32(words.count - 1)
    return .other(Int32(words.count - 1))
  }

  mutating func newTensor(_ tensor: PickledTensor) throws(StorageError) -> PickleValue {
    try spend(12 + tensor.extents.count)
    tensors.append(tensor)
    return .tensor(Int32(tensors.count - 1))
  }

  mutating func newStorage(_ storage: PickledStorage) throws(StorageError) -> PickleValue {
    if let known = Self.known(storage, among: storages, &knownStorages) {
      return .storage(Int32(known))
    }
    try spend(8)
    storages.append(storage)
    return .storage(Int32(storages.count - 1))
  }

  /// Where a storage stands; nil for a new one, which the table has then.
  ///
  /// A closure over the machine would copy it.
  private static func known(
    _ storage: PickledStorage, among storages: [PickledStorage], _ table: inout NameTable
  ) -> Int? {
    var place: Int?
    _ = table.add(storage.tableHash, at: storages.count) { position in
      guard storages[position] == storage else { return false }
      place = position
      return true
    }
    return place
  }

  /// Adds keys and values in turn.
  mutating func addEntries(
    _ values: ArraySlice<PickleValue>, to place: Int32
  ) throws(StorageError) {
    try spend(values.count)
    var rest = values
    while let key = rest.popFirst(), let value = rest.popFirst() {
      guard isHashable(key) else { throw violation("P-12", "a key that can be one", "a container") }
      dictionaries[Int(place)].entries.append((key, value))
    }
  }

  private func isHashable(_ key: PickleValue) -> Bool {
    switch key {
    case .none, .boolean, .integer, .wideInteger, .real, .text, .bytes, .tuple, .other, .global:
      true
    case .list, .dictionary, .set, .storage, .tensor: false
    }
  }

  // MARK: - Globals

  /// The global that a class reference or function stands for.
  func global(_ value: PickleValue) -> PickleGlobal? {
    guard case .global(let place) = value else { return nil }
    return globals[Int(place)]
  }

  /// The place of the global of a name, where the list allows it.
  mutating func global(
    _ module: String, _ name: String
  ) throws(StorageError) -> Int32 {
    let key = module + " " + name
    if let known = globalNames[key] { return known }
    guard let global = PickleGlobal.allowed[key] else {
      throw failure(
        .refused(policy: "a global outside the list (pytorch P-9)", found: "\(module).\(name)"),
        remedy: PickleMachine.remedy)
    }
    globals.append(global)
    globalNames[key] = Int32(globals.count - 1)
    return Int32(globals.count - 1)
  }

  /// What to do about a pickle that holds more than tensors.
  static let remedy =
    "if you trust its origin, load it in Python and save the tensors alone: torch.save(model.state_dict(), FILE)"

  // MARK: - Errors

  func violation(_ rule: String, _ expected: String, _ found: String) -> StorageError {
    failure(.malformed(rule: "pytorch " + rule, expected: expected, found: found))
  }

  func failure(_ reason: StorageError.Reason, remedy: String? = nil) -> StorageError {
    StorageError(
      reason, file: cursor.file, offset: cursor.base.map { $0 + opcodeStart }, remedy: remedy)
  }

  private func refused(_ byte: UInt8) -> StorageError {
    failure(
      .refused(
        policy: "a pickle opcode outside the list (pytorch P-4)",
        found: PickleOpcode.refusedNames[byte] ?? "0x" + String(byte, radix: 16)),
      remedy: PickleMachine.remedy)
  }
}
