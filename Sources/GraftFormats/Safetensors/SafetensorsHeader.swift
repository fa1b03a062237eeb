internal import GraftCore

/// What a safetensors header says, before and after it is held against the file.
///
/// Tokens go straight into entries, without a JSON tree between: headers with 100,000 tensors are common enough.
struct SafetensorsHeader {
  /// One tensor as declared.
  struct Entry {
    let info: TensorInfo
    /// The tensor's first byte, relative to the end of the header.
    let begin: Int
    /// Where its name stands in the file.
    let position: Int

    var end: Int { begin + info.byteCount }
  }

  /// The declared tensors in header order.
  private(set) var entries: [Entry] = []
  /// The entries of `__metadata__` in header order.
  private(set) var metadata: [MetadataEntry] = []

  private let limits: FormatLimits
  /// The names so far, once they no longer rise.
  private var names: NameTable?

  /// The header's JSON text.
  static func bytes(
    of file: InputFile, limits: FormatLimits
  ) throws(StorageError) -> [UInt8] {
    guard file.byteCount >= 8 else {
      throw StorageError(
        .truncated(
          part: "header length (safetensors S-1)", expectedBytes: 8, foundBytes: file.byteCount),
        file: file.path, offset: 0)
    }
    let length = try file.bytes(at: 0, count: 8).reversed().reduce(UInt64(0)) {
      $0 << 8 | UInt64($1)
    }
    guard length <= UInt64(limits.safetensorsHeaderBytes) else {
      throw StorageError(
        .limitExceeded(
          limit: "header bytes (safetensors S-2)", maximum: limits.safetensorsHeaderBytes,
          found: "\(length)"),
        file: file.path, offset: 0)
    }
    guard Int(length) <= file.byteCount - 8 else {
      throw StorageError(
        .truncated(
          part: "header (safetensors S-3)", expectedBytes: Int(length),
          foundBytes: file.byteCount - 8),
        file: file.path, offset: 8)
    }
    return try file.bytes(at: 8, count: Int(length))
  }

  /// Parses a header's JSON text.
  init(parsing bytes: [UInt8], file: String, limits: FormatLimits) throws(StorageError) {
    self.limits = limits
    var scanner = JSONScanner(bytes, file: file, base: 8)
    guard try scanner.next().kind == .objectStart else {
      throw scanner.violation("S-4", "an object of tensors", at: 0)
    }
    // A tensor takes about a hundred bytes of header.
    entries.reserveCapacity(min(limits.tensors, bytes.count / 96))
    let dtypes = SafetensorsDTypes()
    var shapes = SafetensorsShapes()
    var hasMetadata = false
    while true {
      try readUsualEntries(bytes, &scanner, dtypes, &shapes)
      let token = try scanner.next()
      guard token.kind == .key else { break }
      let name = TensorName(utf8: scanner.contents(of: token))
      if name == "__metadata__" {
        guard !hasMetadata else { throw scanner.repeated(token) }
        hasMetadata = true
        try readMetadata(&scanner)
      } else {
        guard isNew(name) else { throw scanner.repeated(token) }
        do {
          let fields = try SafetensorsFields(&scanner)
          try add(name, token.range.lowerBound, fields, scanner)
        } catch {
          var named = error
          named.tensor = name
          throw named
        }
      }
    }
    _ = try scanner.next()
  }

  /// Reads entries as long as they are spelled in the usual way, and leaves the scanner behind them.
  private mutating func readUsualEntries(
    _ bytes: [UInt8], _ scanner: inout JSONScanner, _ dtypes: SafetensorsDTypes,
    _ shapes: inout SafetensorsShapes
  ) throws(StorageError) {
    guard scanner.isBehindValue, scanner.depth == 1 else { return }
    var position = scanner.position
    defer { scanner.resume(at: position) }
    while let entry = SafetensorsEntryText(bytes.span, at: position, dtypes, &shapes) {
      let name = TensorName(utf8: Array(bytes[entry.name]))
      // What is wrong is told by the other reader, which comes to the same entry next.
      guard isNew(name), entries.count < limits.tensors else { return }
      do {
        try add(name, entry.name.lowerBound, entry.fields, scanner)
      } catch {
        var named = error
        named.tensor = name
        throw named
      }
      position = entry.end
    }
  }

  /// Whether no tensor has the name yet; names that rise, as in most files, need no table.
  private mutating func isNew(_ name: TensorName) -> Bool {
    if names == nil {
      guard let last = entries.last?.info.name, !(last < name) else { return true }
      var table = NameTable(reserving: entries.capacity)
      for (position, entry) in entries.enumerated() {
        table.add(NameTable.hash(entry.info.name.utf8), at: position)
      }
      names = table
    }
    let known = names?.position(NameTable.hash(name.utf8)) {
      entries[$0].info.name == name
    }
    return known == nil
  }

  private mutating func readMetadata(_ scanner: inout JSONScanner) throws(StorageError) {
    let start = try scanner.next()
    // MLX writes null where it has none.
    guard start.kind != .null else { return }
    guard start.kind == .objectStart else {
      throw scanner.violation("S-5", "metadata of strings", at: start.range.lowerBound)
    }
    metadata = try scanner.textMembers { scanner, value in
      scanner.violation("S-5", "metadata of strings", at: value.range.lowerBound)
    }
  }

  private mutating func add(
    _ name: TensorName, _ position: Int, _ fields: SafetensorsFields, _ scanner: JSONScanner
  ) throws(StorageError) {
    guard entries.count < limits.tensors else {
      throw StorageError(
        .limitExceeded(
          limit: "tensors (safetensors S-14)", maximum: limits.tensors, found: "another one"),
        file: scanner.file, offset: scanner.base + position)
    }
    let info: TensorInfo
    do throws(ShapeError) {
      info = try TensorInfo(name: name, dtype: fields.dtype, shape: Shape(fields.dimensions))
    } catch {
      throw scanner.violation(error, at: position)
    }
    guard fields.end - fields.begin == info.byteCount else {
      throw StorageError(
        .malformed(
          rule: "safetensors S-11",
          expected: "\(info.byteCount) bytes for \(info.dtype) \(info.shape)",
          found: "[\(fields.begin), \(fields.end)]"),
        file: scanner.file, offset: scanner.base + position)
    }
    names?.add(NameTable.hash(name.utf8), at: entries.count)
    entries.append(Entry(info: info, begin: fields.begin, position: scanner.base + position))
  }

  /// The entries in the order of their bytes, known to cover a data buffer without hole or overlap.
  func tiled(over byteCount: Int, file: String) throws(StorageError) -> [Entry] {
    let isSorted = zip(entries, entries.dropFirst()).allSatisfy {
      ($0.begin, $0.end) <= ($1.begin, $1.end)
    }
    let sorted =
      isSorted ? entries : entries.sorted { ($0.begin, $0.end) < ($1.begin, $1.end) }
    var covered = 0
    for entry in sorted {
      guard entry.begin == covered else {
        throw StorageError(
          .malformed(
            rule: "safetensors S-12", expected: "data from byte \(covered) on",
            found: entry.begin > covered
              ? "a hole before byte \(entry.begin)" : "an overlap from byte \(entry.begin) on"),
          file: file, tensor: entry.info.name, offset: entry.position)
      }
      covered = entry.end
    }
    guard covered <= byteCount else {
      throw StorageError(
        .truncated(
          part: "data (safetensors S-13)", expectedBytes: covered, foundBytes: byteCount),
        file: file, tensor: sorted.first { $0.end > byteCount }?.info.name)
    }
    guard covered == byteCount else {
      throw StorageError(
        .malformed(
          rule: "safetensors S-13", expected: "the end of the file after \(covered) bytes of data",
          found: "\(byteCount - covered) more bytes"),
        file: file)
    }
    return sorted
  }
}

extension JSONScanner {
  /// The error for a token that breaks a rule of safetensors.
  func violation(_ rule: String, _ expected: String, at position: Int) -> StorageError {
    let end = min(bytes.count, position + 24)
    let found = String(decoding: bytes[min(position, end)..<end], as: UTF8.self)
    return StorageError(
      .malformed(rule: "safetensors " + rule, expected: expected, found: found), file: file,
      offset: base + position)
  }

  /// The error for extents that have no size.
  func violation(_ error: ShapeError, at position: Int) -> StorageError {
    let reason: StorageError.Reason =
      switch error {
      case .rank(let rank):
        .limitExceeded(
          limit: "dimensions (safetensors S-8)", maximum: Shape.maximumRank, found: "\(rank)")
      case .overflow: .overflow(part: "tensor (safetensors S-10)")
      case .negativeExtent, .partialBlock:
        .malformed(rule: "safetensors S-10", expected: "whole bytes", found: error.description)
      }
    return StorageError(reason, file: file, offset: base + position)
  }
}
