internal import GraftCore

/// The form of PyTorch's files since 1.6: a ZIP archive with one folder of a pickle and the records of storages.
struct PyTorchArchive {
  let contents: PyTorchContents
  /// The positions of the records among the members, by storage.
  let records: [Int]

  private static let pickleName = "data.pkl"
  private static let versions = 1...10

  /// The folder that holds the pickle, where an archive looks like one of PyTorch's.
  static func folder(of archive: ZipArchive) -> String? {
    let names = archive.members.lazy.map(\.name)
    if names.contains(TensorName(pickleName)) { return "" }
    let suffix = "/" + pickleName
    return names.first { name in
      name.hasSuffix(suffix) && name.utf8.count { $0 == UInt8(ascii: "/") } == 1
    }.map { String($0.text.dropLast(pickleName.count)) }
  }

  /// Reads the pickle and finds the storages.
  ///
  /// - Throws: ``StorageError`` with the broken rule of `Formats/pytorch/SPEC.md`.
  init(_ archive: ZipArchive, limits: FormatLimits) throws(StorageError) {
    let file = archive.file.path
    let folder = try Self.checkedFolder(of: archive)
    guard let pickle = archive[TensorName(folder + Self.pickleName)] else {
      throw StorageError(
        .malformed(rule: "pytorch P-1", expected: "a folder with data.pkl", found: "none"),
        file: file)
    }
    try Self.checkVersion(archive, folder)
    let isBigEndian = try Self.isBigEndian(archive, folder)
    // What a pickle takes grows with its bytes, and those of a deflated one may be a thousand times the archive's.
    let limit =
      pickle.isDeflated
      ? min(limits.pickleBytes, limits.inflatedBytes, 2 << 20 + 16 * pickle.stored.count)
      : limits.pickleBytes
    guard pickle.byteCount <= limit else {
      throw StorageError(
        .limitExceeded(
          limit: "bytes of this pickle (pytorch P-16)", maximum: limit,
          found: "\(pickle.byteCount)"),
        file: file, offset: pickle.stored.lowerBound)
    }
    var machine = PickleMachine(
      try archive.contents(of: pickle, atMost: limit), file: file,
      base: pickle.isDeflated ? nil : pickle.stored.lowerBound,
      memberCount: archive.members.count, limits: limits)
    let root = try machine.run()
    guard machine.cursor.position == pickle.byteCount else {
      throw StorageError(
        .malformed(
          rule: "pytorch P-3", expected: "nothing behind the pickle's end",
          found: "\(pickle.byteCount - machine.cursor.position) more bytes"),
        file: file, offset: machine.cursor.offset)
    }
    var records: [Int] = []
    var bytes: [ElementBytes] = []
    records.reserveCapacity(machine.storages.count)
    bytes.reserveCapacity(machine.storages.count)
    var isCounted = [Bool](repeating: false, count: archive.members.count)
    var byteCount = 0
    let prefix = Array((folder + "data/").utf8)
    var name = prefix
    for storage in machine.storages {
      name.removeLast(name.count - prefix.count)
      name += storage.key.utf8
      // Records mostly stand in the order of the storages.
      let guess = records.last.map { $0 + 1 } ?? 0
      guard let position = archive.position(of: name, near: guess) else {
        throw StorageError(
          .malformed(
            rule: "pytorch P-14", expected: "the record \(TensorName(utf8: name))", found: "none"),
          file: file)
      }
      let record = archive.members[position]
      guard record.byteCount == storage.total * storage.type.width else {
        throw StorageError(
          .malformed(
            rule: "pytorch P-14",
            expected:
              "\(storage.total) elements of \(storage.type.width) bytes in \(TensorName(utf8: name))",
            found: "\(record.byteCount) bytes"),
          file: file, offset: record.stored.lowerBound)
      }
      records.append(position)
      bytes.append(ElementBytes(record, in: archive))
      if !isCounted[position] { byteCount += record.byteCount }
      isCounted[position] = true
    }
    self.records = records
    contents = try PyTorchContents(
      machine, root, bytes: bytes, byteCount: byteCount, isBigEndian: isBigEndian, limits: limits)
  }

  /// The one folder that all members stand in, of a checkpoint and not of a program.
  private static func checkedFolder(of archive: ZipArchive) throws(StorageError) -> String {
    let file = archive.file.path
    guard let folder = folder(of: archive), !folder.isEmpty else {
      throw StorageError(
        .malformed(
          rule: "pytorch P-1", expected: "one folder with data.pkl", found: "another form"),
        file: file)
    }
    let prefix = Array(folder.utf8)
    if let stray = archive.members.first(where: { !$0.name.utf8.starts(with: prefix) }) {
      throw StorageError(
        .malformed(
          rule: "pytorch P-1", expected: "every member inside \(folder)", found: "\(stray.name)"),
        file: file, offset: stray.stored.lowerBound)
    }
    guard archive[TensorName(folder + "constants.pkl")] == nil else {
      throw StorageError(
        .unsupported(feature: "PyTorch file (pytorch P-2)", found: "a TorchScript program"),
        file: file,
        remedy: "save its tensors alone: torch.save(torch.jit.load(FILE).state_dict(), NEW)")
    }
    return folder
  }

  private static func checkVersion(
    _ archive: ZipArchive, _ folder: String
  ) throws(StorageError) {
    guard let member = archive[TensorName(folder + "version")] else {
      throw StorageError(
        .malformed(rule: "pytorch P-1", expected: "the record version", found: "none"),
        file: archive.file.path)
    }
    let text = String(decoding: try archive.contents(of: member, atMost: 64), as: UTF8.self)
    let digits = text.hasSuffix("\n") ? text.dropLast() : text[...]
    guard let version = Int(digits), versions.contains(version) else {
      throw StorageError(
        .unsupported(feature: "version of a PyTorch file (pytorch P-1)", found: "'\(digits)'"),
        file: archive.file.path, offset: member.stored.lowerBound)
    }
  }

  private static func isBigEndian(
    _ archive: ZipArchive, _ folder: String
  ) throws(StorageError) -> Bool {
    guard let member = archive[TensorName(folder + "byteorder")] else { return false }
    switch String(decoding: try archive.contents(of: member, atMost: 64), as: UTF8.self) {
    case "little": return false
    case "big": return true
    case let other:
      throw StorageError(
        .malformed(rule: "pytorch P-1", expected: "little or big in byteorder", found: other),
        file: archive.file.path, offset: member.stored.lowerBound)
    }
  }
}
