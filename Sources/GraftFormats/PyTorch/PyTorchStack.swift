internal import GraftCore

/// The form of PyTorch's files before 1.6: five pickles one after another, and the storages behind them.
struct PyTorchStack {
  let contents: PyTorchContents

  /// How such a file begins: a pickle of protocol 2 to 5 with the number 0x1950A86A20F9469CFC6C.
  private static let magic: [UInt8] = [
    0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E,
  ]
  private static let protocolVersion = 1001
  private static let firstPart = 1 << 16

  /// Whether a file begins like that.
  static func isBeginning(_ bytes: [UInt8]) -> Bool {
    guard bytes.count > 2, bytes[0] == PickleOpcode.proto.rawValue, (2...5).contains(bytes[1])
    else { return false }
    return bytes.dropFirst(2).starts(with: magic)
      // Protocol 4 has a frame around it.
      || bytes.count > 11 && bytes[2] == PickleOpcode.frame.rawValue
        && bytes.dropFirst(11).starts(with: magic)
  }

  /// Reads the pickles and finds the storages.
  ///
  /// - Throws: ``StorageError`` with the broken rule of `Formats/pytorch/SPEC.md`.
  init(_ file: InputFile, limits: FormatLimits) throws(StorageError) {
    // How long the pickles are is known at their end: of a large file no more is read than it takes.
    var count = min(file.byteCount, Self.firstPart)
    while true {
      let bytes = try file.bytes(at: 0, count: count)
      do throws(StorageError) {
        contents = try Self.read(bytes, of: file, limits)
        return
      } catch {
        guard case .truncated(let part, _, _) = error.reason, part.hasPrefix("pickle"),
          count < file.byteCount
        else { throw error }
        guard count < limits.pickleBytes else {
          throw StorageError(
            .limitExceeded(
              limit: "bytes of a pickle (pytorch P-16)", maximum: limits.pickleBytes,
              found: "more"),
            file: file.path)
        }
        count = min(file.byteCount, count * 4, limits.pickleBytes)
      }
    }
  }

  private static func read(
    _ bytes: [UInt8], of file: InputFile, _ limits: FormatLimits
  ) throws(StorageError) -> PyTorchContents {
    var machine = PickleMachine(bytes, file: file.path, base: 0, limits: limits)
    func malformed(_ expected: String, _ found: String) -> StorageError {
      StorageError(
        .malformed(rule: "pytorch P-18", expected: expected, found: found), file: file.path,
        offset: machine.opcodeStart)
    }
    guard case .wideInteger(let number) = try machine.run(),
      bytes[number.range].elementsEqual(magic[2..<12])
    else { throw malformed("the magic number of PyTorch's files", "another value") }
    guard case .integer(protocolVersion) = try machine.run() else {
      throw malformed("the protocol \(protocolVersion)", "another one")
    }
    guard case .dictionary(let place) = try machine.run() else {
      throw malformed("facts about the machine", "something else")
    }
    for entry in machine.dictionaries[Int(place)].entries {
      guard case .text(let key) = entry.key,
        bytes[key.range].elementsEqual("little_endian".utf8)
      else { continue }
      guard case .boolean(true) = entry.value else {
        throw StorageError(
          .unsupported(feature: "byte order (pytorch P-18)", found: "big-endian"), file: file.path,
          offset: machine.opcodeStart)
      }
    }
    let root = try machine.run()
    guard case .list(let list) = try machine.run() else {
      throw malformed("a list of storages", "something else")
    }
    let storages = try storages(machine.lists[Int(list)], machine, in: file)
    return try PyTorchContents(
      machine, root, bytes: machine.storages.map { storages[$0.key] },
      byteCount: storages.values.reduce(0) { $0 + $1.byteCount }, isBigEndian: false,
      limits: limits)
  }

  /// Finds the storages: each a number of elements in 8 bytes, and the elements.
  private static func storages(
    _ keys: [PickleValue], _ machine: PickleMachine, in file: InputFile
  ) throws(StorageError) -> [String: ElementBytes] {
    var wanted: [String: (type: TorchType, count: Int)] = [:]
    for storage in machine.storages {
      if let known = wanted[storage.key],
        known.type.width != storage.type.width || known.count != storage.total
      {
        throw StorageError(
          .malformed(
            rule: "pytorch P-14", expected: "storage \(storage.key) with one size", found: "two"),
          file: file.path)
      }
      wanted[storage.key] = (storage.type, storage.total)
    }
    var position = machine.cursor.position
    var found: [String: ElementBytes] = [:]
    for value in keys {
      guard case .text(let slice) = value, let storage = wanted[machine.text(slice)],
        found[machine.text(slice)] == nil
      else {
        throw StorageError(
          .malformed(
            rule: "pytorch P-18", expected: "the keys of the storages, each once",
            found: "another list"),
          file: file.path, offset: machine.opcodeStart)
      }
      let key = machine.text(slice)
      guard file.byteCount - position >= 8 else {
        throw StorageError(
          .truncated(
            part: "storage (pytorch P-18)", expectedBytes: 8, foundBytes: file.byteCount - position),
          file: file.path, offset: position)
      }
      let declared = ZipFields(try file.bytes(at: position, count: 8)).u64(at: 0)
      let width = storage.type.width
      guard let count = Int(exactly: declared), count == storage.count else {
        throw StorageError(
          .malformed(
            rule: "pytorch P-14", expected: "\(storage.count) elements in storage \(key)",
            found: "\(declared)"),
          file: file.path, offset: position)
      }
      position += 8
      let (size, overflow) = count.multipliedReportingOverflow(by: width)
      guard !overflow, size <= file.byteCount - position else {
        throw StorageError(
          .truncated(
            part: "storage (pytorch P-18)", expectedBytes: overflow ? .max : size,
            foundBytes: file.byteCount - position),
          file: file.path, offset: position)
      }
      found[key] = .file(file, position..<position + size)
      position += size
    }
    guard position == file.byteCount else {
      throw StorageError(
        .malformed(
          rule: "pytorch P-18", expected: "the end of the file behind the storages",
          found: "\(file.byteCount - position) more bytes"),
        file: file.path, offset: position)
    }
    return found
  }
}
