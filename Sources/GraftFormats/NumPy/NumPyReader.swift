public import GraftCore

/// NumPy's arrays, opened: one `.npy` file, or an `.npz` archive of them.
///
/// The array of a single file is called `array`; those of an archive as their members without `.npy`. The format and its numbered
/// rules are in `Formats/numpy/SPEC.md`.
public struct NumPyReader: StoredArrayReader {
  /// The name of the array of an `.npy` file.
  public static let soleName: TensorName = "array"

  /// The open file.
  public let file: InputFile
  /// The members that aren't arrays, with their sizes: to be shown, as their contents aren't read.
  public let metadata: [MetadataEntry]
  /// The arrays as they lie.
  public let arrays: StoredArrays

  /// Validates an open file.
  ///
  /// - Throws: ``StorageError`` with the broken rule, the array and the byte.
  public init(_ file: InputFile, limits: FormatLimits = .standard) throws(StorageError) {
    let start = try file.bytes(at: 0, count: min(file.byteCount, 4))
    // The first member, or the end of an archive without any.
    if start == [0x50, 0x4B, 0x03, 0x04] || start == [0x50, 0x4B, 0x05, 0x06] {
      try self.init(ZipArchive(file, limits: limits), limits: limits)
      return
    }
    var headers = NumPyHeaders(file)
    let placement = try Self.placement(
      named: Self.soleName, in: .file(file, 0..<file.byteCount), &headers, base: 0, limits: limits)
    self.init(file, StoredArrays([placement]), metadata: [])
  }

  private init(_ file: InputFile, _ arrays: StoredArrays, metadata: [MetadataEntry]) {
    self.file = file
    self.arrays = arrays
    self.metadata = metadata
  }

  /// Reads the arrays of an open archive.
  package init(_ archive: ZipArchive, limits: FormatLimits = .standard) throws(StorageError) {
    var placements: [StoredArrays.Placement] = []
    var members: [ZipMember] = []
    var others: [MetadataEntry] = []
    var headers = NumPyHeaders(archive.file)
    for member in archive.members {
      guard member.name.hasSuffix(".npy") else {
        others.append(
          MetadataEntry(key: member.name.text, value: "\(member.byteCount) bytes, not an array"))
        continue
      }
      let name = TensorName(utf8: member.name.utf8.dropLast(4))
      do {
        placements.append(
          try Self.placement(
            named: name, in: ElementBytes(member, in: archive), &headers,
            base: member.isDeflated ? nil : member.stored.lowerBound, limits: limits))
      } catch {
        var named = error
        named.tensor = name
        named.offset = error.offset ?? member.stored.lowerBound
        throw named
      }
      members.append(member)
    }
    self.init(
      archive.file, StoredArrays(placements, members: ArrayMembers(members, of: archive)),
      metadata: others)
  }

  /// Whether an archive holds arrays.
  static func isArchive(_ archive: ZipArchive) -> Bool {
    archive.members.contains { $0.name.hasSuffix(".npy") }
  }

  private static func placement(
    named name: TensorName, in bytes: ElementBytes, _ headers: inout NumPyHeaders, base: Int?,
    limits: FormatLimits
  ) throws(StorageError) -> StoredArrays.Placement {
    let file = headers.path
    let header = try headers.header(of: bytes, base: base, limits: limits)
    if case .deflated(let member, _) = bytes { member.release() }
    let info = try info(header, named: name, file: file, base: base)
    let found = bytes.byteCount - header.byteCount
    guard info.byteCount <= found else {
      throw StorageError(
        .truncated(
          part: "array (numpy N-9)", expectedBytes: info.byteCount, foundBytes: found),
        file: file, offset: base.map { $0 + header.byteCount })
    }
    guard info.byteCount == found else {
      throw StorageError(
        .malformed(
          rule: "numpy N-9", expected: "\(info.byteCount) bytes of elements", found: "\(found)"),
        file: file, offset: base.map { $0 + header.byteCount + info.byteCount })
    }
    let width = info.dtype.layout.bytes
    let isSwapped = header.isBigEndian && width > 1
    do throws(StridedView.Defect) {
      let view = try StridedView(
        width: width, extents: header.extents, strides: header.strides, offset: 0,
        of: info.shape.elementCount)
      return StoredArrays.Placement(
        info: info,
        storage: bytes.extracting(header.byteCount..<bytes.byteCount),
        view: isSwapped && info.dtype == .c64 ? view.halved : view, isSwapped: isSwapped)
    } catch {
      throw StorageError(.overflow(part: "array (numpy N-8)"), file: file, offset: base)
    }
  }

  private static func info(
    _ header: NumPyHeader, named name: TensorName, file: String, base: Int?
  ) throws(StorageError) -> TensorInfo {
    do throws(ShapeError) {
      return try TensorInfo(name: name, dtype: header.dtype, shape: Shape(header.extents))
    } catch {
      let reason: StorageError.Reason =
        switch error {
        case .rank(let rank):
          .limitExceeded(
            limit: "dimensions (numpy N-7)", maximum: Shape.maximumRank, found: "\(rank)")
        case .overflow, .negativeExtent, .partialBlock: .overflow(part: "array (numpy N-8)")
        }
      throw StorageError(reason, file: file, offset: base)
    }
  }

  /// What of an archive conversions leave out, in words.
  public var omissions: [String] { metadata.map { "the member \($0.key), \($0.value)" } }

  /// NumPy.
  public var format: CheckpointFormat { .numpy }
}
