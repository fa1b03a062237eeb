internal import GraftCore

/// Reads a shard index token by token: a weight map of a million tensors is no tree.
struct ShardIndexParser {
  private(set) var shards: [TensorName: Int] = [:]
  /// The tensors as they are named, and the shard of each.
  private var tensors = JSONKeySet()
  private var homes: [Int32] = []
  private(set) var totalByteCount: Int?
  private(set) var ties: [ShardIndex.Tie] = []
  /// The names of the first members that aren't read.
  private(set) var otherMembers: [String] = []
  /// Whether the shards are PyTorch's files; nil before the first.
  private(set) var holdsPyTorchFiles: Bool?
  private var scanner: JSONScanner
  private let limits: FormatLimits

  init(_ bytes: [UInt8], file: String, limits: FormatLimits) {
    scanner = JSONScanner(bytes, file: file)
    self.limits = limits
  }

  /// The tensors with the places of their shards in a list, which `ranks` gives for the numbers here.
  func placements(_ ranks: [Int]) -> [ShardIndex.Placement] {
    homes.indices.map {
      ShardIndex.Placement(
        tensor: TensorName(utf8: scanner.contents(of: tensors[$0])), shard: ranks[Int(homes[$0])])
    }
  }

  mutating func parse() throws(StorageError) {
    let start = try scanner.next()
    guard start.kind == .objectStart else {
      throw violation("I-2", "an object with a weight_map", start)
    }
    var keys = JSONKeySet()
    var hasMap = false
    while let key = try nextKey(&keys) {
      let value = try scanner.next()
      if scanner.matches(key, "weight_map") {
        hasMap = true
        try readWeightMap(value)
      } else if scanner.matches(key, "metadata"), value.kind == .objectStart {
        try readMetadata()
      } else {
        note(key, below: "")
        try scanner.skip(value)
      }
    }
    guard hasMap else {
      throw violation("I-2", "an object with a weight_map", start)
    }
    _ = try scanner.next()
  }

  private mutating func readWeightMap(_ start: JSONToken) throws(StorageError) {
    guard start.kind == .objectStart else {
      throw violation("I-3", "an object of file names", start)
    }
    var names = JSONKeySet()
    var last: (token: JSONToken, shard: Int)?
    while let key = try nextKey(&names) {
      let value = try scanner.next()
      guard value.kind == .string else { throw violation("I-3", "the name of a file", value) }
      // Most tensors stand in the file of the one before.
      let home: Int
      if let last, scanner.haveSameContents(last.token, value) {
        home = last.shard
      } else {
        home = try shard(named: value)
      }
      last = (value, home)
      homes.append(Int32(home))
      guard homes.count <= limits.tensors else {
        throw limit("tensors", limits.tensors, key)
      }
    }
    tensors = names
  }

  private mutating func shard(named token: JSONToken) throws(StorageError) -> Int {
    let name = TensorName(utf8: scanner.contents(of: token))
    if let known = shards[name] { return known }
    let text = name.text
    guard Directory.isSafeRelativePath(text), !text.utf8.contains(UInt8(ascii: "%")) else {
      throw StorageError(
        .refused(policy: "a shard outside its directory (shard-index I-4)", found: text),
        file: scanner.file, offset: token.range.lowerBound)
    }
    let isPyTorch = name.hasSuffix(".bin") && !scanner.file.hasSuffix(".safetensors.index.json")
    guard isPyTorch || name.hasSuffix(".safetensors") else {
      throw StorageError(
        .refused(policy: "a shard that isn't safetensors (shard-index I-5)", found: text),
        file: scanner.file, offset: token.range.lowerBound)
    }
    guard holdsPyTorchFiles ?? isPyTorch == isPyTorch else {
      throw StorageError(
        .refused(policy: "shards of two formats (shard-index I-5)", found: text),
        file: scanner.file, offset: token.range.lowerBound)
    }
    holdsPyTorchFiles = isPyTorch
    guard shards.count < limits.shards else { throw limit("shards", limits.shards, token) }
    shards[name] = shards.count
    return shards.count - 1
  }

  private mutating func readMetadata() throws(StorageError) {
    var keys = JSONKeySet()
    while let key = try nextKey(&keys) {
      let value = try scanner.next()
      if scanner.matches(key, "ties") {
        try readTies(value)
        continue
      }
      guard scanner.matches(key, "total_size") else {
        note(key, below: "metadata.")
        try scanner.skip(value)
        continue
      }
      // Some tools spell the size as a float; it is taken when it is whole.
      let spelling = String(decoding: scanner.bytes[value.range], as: UTF8.self)
      guard value.kind == .number, let size = Double(spelling).flatMap(Int.init(exactly:)),
        size >= 0
      else { throw violation("I-6", "a whole number of bytes", value) }
      totalByteCount = scanner.unsigned(value).flatMap(Int.init(exactly:)) ?? size
    }
  }

  private mutating func note(_ key: JSONToken, below folder: String) {
    guard otherMembers.count < Self.mostMembers else { return }
    otherMembers.append(folder + TensorName(utf8: scanner.contents(of: key)).text)
  }

  private static let mostMembers = 256

  private mutating func readTies(_ start: JSONToken) throws(StorageError) {
    guard start.kind == .objectStart else {
      throw violation("I-10", "an object of tensor names", start)
    }
    var names = JSONKeySet()
    while let key = try nextKey(&names) {
      let value = try scanner.next()
      guard value.kind == .string else { throw violation("I-10", "the name of a tensor", value) }
      ties.append(
        ShardIndex.Tie(
          left: TensorName(utf8: scanner.contents(of: key)),
          kept: TensorName(utf8: scanner.contents(of: value))))
      guard ties.count <= limits.tensors else { throw limit("ties", limits.tensors, key) }
    }
  }

  /// The next key of the object being read, known to be new in it; nil at its end.
  private mutating func nextKey(_ seen: inout JSONKeySet) throws(StorageError) -> JSONToken? {
    let key = try scanner.next()
    guard key.kind == .key else { return nil }
    guard seen.insert(key, of: scanner) else { throw scanner.repeated(key) }
    return key
  }

  private func violation(_ rule: String, _ expected: String, _ token: JSONToken) -> StorageError {
    let found = String(decoding: scanner.bytes[token.range].prefix(24), as: UTF8.self)
    return StorageError(
      .malformed(rule: "shard-index " + rule, expected: expected, found: found),
      file: scanner.file, offset: token.range.lowerBound)
  }

  private func limit(_ what: String, _ maximum: Int, _ token: JSONToken) -> StorageError {
    StorageError(
      .limitExceeded(
        limit: what + " (shard-index I-1)", maximum: maximum, found: "another one"),
      file: scanner.file, offset: token.range.lowerBound)
  }
}
