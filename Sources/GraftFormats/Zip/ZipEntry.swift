internal import GraftCore

/// An entry of a central directory: what it says of a member, every number checked.
struct ZipEntry {
  let name: TensorName
  let flags: Int
  let method: Int
  let checksum: UInt32
  let byteCount: Int
  let storedByteCount: Int
  /// Where the member's local header stands.
  let headerOffset: Int
  /// Where this entry stands.
  let position: Int
  let isFolder: Bool

  static let stored = 0
  static let deflated = 8
  /// A deflate stream can't grow to more than this many times its size.
  private static let maximumRatio = 1032
  private static let leastBytes = 46
  /// How hard deflate tried (two bits), a descriptor behind the data, names in UTF-8.
  private static let knownFlags = 0x080E
  private static let descriptorFlag = 0x0008

  /// Whether checksum and sizes stand behind the data, and not necessarily in the local header.
  var hasDescriptor: Bool { flags & Self.descriptorFlag != 0 }

  /// Reads the entries of a directory, and the table of their names.
  ///
  /// - Throws: ``StorageError`` with the broken rule of `Formats/zip/SPEC.md`.
  static func all(of end: ZipEnd, in file: InputFile) throws(StorageError)
    -> (entries: [ZipEntry], names: NameTable)
  {
    let (least, overflow) = end.memberCount.multipliedReportingOverflow(by: leastBytes)
    guard !overflow, least <= end.directory.count else {
      throw StorageError(
        .truncated(
          part: "central directory (zip Z-4)", expectedBytes: overflow ? .max : least,
          foundBytes: end.directory.count),
        file: file.path, offset: end.directory.lowerBound)
    }
    let bytes = try file.bytes(at: end.directory.lowerBound, count: end.directory.count)
    var entries: [ZipEntry] = []
    var names = NameTable(reserving: end.memberCount)
    entries.reserveCapacity(end.memberCount)
    var rest = bytes[...]
    for _ in 0..<end.memberCount {
      let (entry, length) = try ZipEntry.parsed(rest, at: end.directory.lowerBound, end, file)
      guard names.insert(entry.name, at: entries.count, among: { entries[$0].name }) else {
        throw .repeated(entry.name, rule: "zip Z-9", file: file.path, offset: entry.position)
      }
      entries.append(entry)
      rest = rest.dropFirst(length)
    }
    guard rest.isEmpty else {
      throw StorageError(
        .malformed(
          rule: "zip Z-3", expected: "\(end.memberCount) entries and nothing behind them",
          found: "\(rest.count) more bytes"),
        file: file.path, offset: end.directory.upperBound - rest.count)
    }
    return (entries, names)
  }

  private static func parsed(
    _ bytes: ArraySlice<UInt8>, at base: Int, _ end: ZipEnd, _ file: InputFile
  ) throws(StorageError) -> (ZipEntry, length: Int) {
    let position = base + bytes.startIndex
    func malformed(_ rule: String, _ expected: String, _ found: String) -> StorageError {
      StorageError(
        .malformed(rule: "zip " + rule, expected: expected, found: found), file: file.path,
        offset: position)
    }
    let fields = ZipFields(bytes)
    guard bytes.count >= leastBytes, fields.u32(at: 0) == ZipSignature.entry else {
      throw malformed("Z-4", "an entry of the central directory", "something else")
    }
    let (nameLength, extraLength) = (fields.u16(at: 28), fields.u16(at: 30))
    let length = leastBytes + nameLength + extraLength + fields.u16(at: 32)
    guard length <= bytes.count else {
      throw malformed("Z-4", "an entry inside the central directory", "\(length) bytes")
    }
    let nameBytes = bytes.dropFirst(leastBytes).prefix(nameLength)
    let name = TensorName(utf8: nameBytes)
    try checkName(nameBytes, file, position)
    let extra = ZipExtra(
      bytes.dropFirst(leastBytes + nameLength).prefix(extraLength), byteCount: fields.u32(at: 24),
      storedByteCount: fields.u32(at: 20), offset: fields.u32(at: 42))
    guard let extra, let byteCount = Int(exactly: extra.byteCount),
      let storedByteCount = Int(exactly: extra.storedByteCount),
      let headerOffset = Int(exactly: extra.offset), fields.u16(at: 34) == 0
    else {
      throw malformed(
        "Z-5", "extra fields that fit, with the wide numbers that \(name) needs", "others")
    }
    let flags = fields.u16(at: 8)
    let method = fields.u16(at: 10)
    try checkFlags(flags, name, file, position)
    guard method == stored || method == deflated else {
      throw StorageError(
        .unsupported(
          feature: "compression of \(name) (zip Z-7)", found: methodName(method)),
        file: file.path, offset: position,
        remedy: "pack the archive anew, stored or deflated")
    }
    let isPossible =
      method == stored
      ? byteCount == storedByteCount : byteCount / maximumRatio <= storedByteCount
    guard isPossible else {
      throw malformed(
        "Z-7", "a size that \(storedByteCount) stored bytes can have",
        "\(byteCount) bytes of \(name)")
    }
    let isFolder = nameBytes.last == UInt8(ascii: "/")
    try checkKind(
      fields, isFolder: isFolder, hasData: byteCount > 0 || storedByteCount > 0, file, position)
    guard headerOffset <= end.directory.lowerBound,
      storedByteCount <= end.directory.lowerBound - headerOffset
    else {
      throw malformed(
        "Z-12", "\(name) before the central directory",
        "\(storedByteCount) bytes from \(headerOffset) on")
    }
    let entry = ZipEntry(
      name: name, flags: flags, method: method, checksum: fields.u32(at: 16), byteCount: byteCount,
      storedByteCount: storedByteCount, headerOffset: headerOffset, position: position,
      isFolder: isFolder)
    return (entry, length)
  }

  // MARK: - What an entry may say

  private static func checkName(
    _ name: ArraySlice<UInt8>, _ file: InputFile, _ position: Int
  ) throws(StorageError) {
    guard !isUsual(name) else { return }
    guard let text = String(validating: name, as: UTF8.self) else {
      throw StorageError(
        .malformed(rule: "zip Z-8", expected: "a name in UTF-8", found: "other bytes"),
        file: file.path, offset: position)
    }
    var parts = name.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    if parts.count > 1, parts.last?.isEmpty == true { parts.removeLast() }
    let isPlain = parts.allSatisfy { part in
      !part.isEmpty && !part.elementsEqual(".".utf8) && !part.elementsEqual("..".utf8)
        && part.allSatisfy { $0 >= 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "\\") }
    }
    guard isPlain else {
      throw StorageError(
        .refused(policy: "a member's name that leads elsewhere (zip Z-8)", found: "'\(text)'"),
        file: file.path, offset: position)
    }
  }

  /// Whether a name has parts of usual characters that don't begin with a dot, as almost all have: it needs no closer look.
  private static func isUsual(_ name: ArraySlice<UInt8>) -> Bool {
    let slash = UInt8(ascii: "/")
    var previous = slash
    for byte in name {
      guard byte >= 0x20, byte < 0x7F, byte != UInt8(ascii: "\\") else { return false }
      if previous == slash, byte == slash || byte == UInt8(ascii: ".") { return false }
      previous = byte
    }
    return !name.isEmpty
  }

  private static func checkFlags(
    _ flags: Int, _ name: TensorName, _ file: InputFile, _ position: Int
  ) throws(StorageError) {
    guard flags & ~knownFlags != 0 else { return }
    let isEncrypted = flags & 0x2041 != 0
    throw StorageError(
      .unsupported(
        feature: "member \(name) (zip Z-6)",
        found: isEncrypted ? "encryption" : "flags 0x\(String(flags & ~knownFlags, radix: 16))"),
      file: file.path, offset: position,
      remedy: isEncrypted ? "pack the archive anew, without a password" : nil)
  }

  /// Refuses what Unix's mode bits say is neither a file nor a folder.
  private static func checkKind(
    _ fields: ZipFields, isFolder: Bool, hasData: Bool, _ file: InputFile, _ position: Int
  ) throws(StorageError) {
    let isUnix = fields.u16(at: 4) >> 8 == 3
    let kind = isUnix ? fields.u32(at: 38) >> 28 : 0
    let found: String? =
      switch kind {
      case 0, 8: isFolder && hasData ? "a folder with data" : nil
      case 4: isFolder && !hasData ? nil : "a folder with data"
      case 0xA: "a symbolic link"
      default: "a special file"
      }
    guard let found else { return }
    throw StorageError(
      .refused(policy: "a member that is no regular file (zip Z-10)", found: found),
      file: file.path, offset: position)
  }

  private static func methodName(_ method: Int) -> String {
    let names = [
      1: "shrink", 6: "implode", 9: "deflate64", 12: "bzip2", 14: "LZMA", 20: "zstd", 93: "zstd",
      95: "xz", 97: "WavPack", 98: "PPMd", 99: "AES encryption",
    ]
    return names[method] ?? "method \(method)"
  }
}
