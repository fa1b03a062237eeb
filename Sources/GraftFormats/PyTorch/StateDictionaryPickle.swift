internal import GraftCore

/// The pickle of a state dictionary, in protocol 2, as `torch.load(weights_only=True)` reads it.
struct StateDictionaryPickle {
  /// The bytes so far.
  private(set) var bytes: [UInt8] = [0x80, 0x02, 0x7D, 0x71, 0x00]
  /// The places of texts and globals that were written before.
  private var memo: [String: Int] = [:]
  private var memoCount = 1

  /// A tensor and the key of its storage.
  struct Entry {
    let name: TensorName
    let info: TensorInfo
    let type: TorchType
    let key: Int
  }

  /// CPython's own batch: how many items are set at once.
  private static let batch = 1000

  /// Spells a dictionary of contiguous tensors.
  init(_ entries: [Entry]) {
    for start in stride(from: 0, to: entries.count, by: Self.batch) {
      bytes.append(PickleOpcode.mark.rawValue)
      for entry in entries[start..<min(start + Self.batch, entries.count)] { append(entry) }
      bytes.append(PickleOpcode.setItems.rawValue)
    }
    bytes.append(PickleOpcode.stop.rawValue)
  }

  private mutating func append(_ entry: Entry) {
    text(entry.name.utf8)
    var extents = entry.info.shape.dimensions
    if entry.type == .float4, let last = extents.popLast() { extents.append(last / 2) }
    let storageType = entry.type.storageName == nil ? TorchType.untyped : entry.type
    let isTyped = storageType == entry.type
    global("torch._utils", isTyped ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3")
    bytes.append(PickleOpcode.mark.rawValue)
    bytes.append(PickleOpcode.mark.rawValue)
    known("storage")
    if let name = storageType.storageName {
      global("torch", name)
    } else {
      global("torch.storage", "UntypedStorage")
    }
    text(Array("\(entry.key)".utf8))
    known("cpu")
    integer(entry.info.byteCount / (isTyped ? entry.type.width : 1))
    bytes.append(PickleOpcode.tuple.rawValue)
    bytes.append(PickleOpcode.persistentID.rawValue)
    integer(0)
    tuple(extents)
    tuple(StridedView.rowMajor(extents))
    bytes.append(PickleOpcode.newFalse.rawValue)
    global("collections", "OrderedDict")
    bytes.append(PickleOpcode.emptyTuple.rawValue)
    bytes.append(PickleOpcode.reduce.rawValue)
    if !isTyped { global("torch", entry.type.rawValue) }
    bytes.append(PickleOpcode.tuple.rawValue)
    bytes.append(PickleOpcode.reduce.rawValue)
  }

  private mutating func text(_ utf8: [UInt8]) {
    bytes.append(PickleOpcode.unicode.rawValue)
    number(utf8.count, 4)
    bytes += utf8
  }

  /// A text that occurs often: remembered the first time, recalled then.
  private mutating func known(_ word: String) {
    guard !recall(word) else { return }
    text(Array(word.utf8))
    remember(word)
  }

  private mutating func global(_ module: String, _ name: String) {
    let key = module + " " + name
    guard !recall(key) else { return }
    bytes.append(PickleOpcode.global.rawValue)
    bytes += Array("\(module)\n\(name)\n".utf8)
    remember(key)
  }

  private mutating func recall(_ key: String) -> Bool {
    guard let place = memo[key] else { return false }
    bytes += [PickleOpcode.get.rawValue, UInt8(truncatingIfNeeded: place)]
    return true
  }

  /// There are a few dozen of these, far fewer than the 256 that one byte names.
  private mutating func remember(_ key: String) {
    bytes += [PickleOpcode.put.rawValue, UInt8(truncatingIfNeeded: memoCount)]
    memo[key] = memoCount
    memoCount += 1
  }

  private mutating func tuple(_ values: [Int]) {
    switch values.count {
    case 0: bytes.append(PickleOpcode.emptyTuple.rawValue)
    case 1...3:
      for value in values { integer(value) }
      let opcodes: [PickleOpcode] = [.tuple1, .tuple2, .tuple3]
      bytes.append(opcodes[values.count - 1].rawValue)
    default:
      bytes.append(PickleOpcode.mark.rawValue)
      for value in values { integer(value) }
      bytes.append(PickleOpcode.tuple.rawValue)
    }
  }

  private mutating func integer(_ value: Int) {
    switch value {
    case 0...0xFF: bytes += [PickleOpcode.byte.rawValue, UInt8(value)]
    case 0x100...0xFFFF:
      bytes.append(PickleOpcode.short.rawValue)
      number(value, 2)
    case 0x1_0000...0x7FFF_FFFF:
      bytes.append(PickleOpcode.int.rawValue)
      number(value, 4)
    default:
      bytes += [PickleOpcode.long1.rawValue, 8]
      number(value, 8)
    }
  }

  private mutating func number(_ value: Int, _ width: Int) {
    for position in 0..<width { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * position))) }
  }
}
