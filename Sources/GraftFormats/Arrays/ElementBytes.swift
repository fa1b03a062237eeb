internal import GraftCore

/// Bytes that elements lie in: a run of a file, or a run of what a deflated member holds.
enum ElementBytes: Sendable {
  case file(InputFile, Range<Int>)
  case deflated(DeflatedMember, Range<Int>)

  /// What a member of an archive holds.
  init(_ member: ZipMember, in archive: ZipArchive) {
    self =
      member.isDeflated
      ? .deflated(DeflatedMember(member, in: archive), 0..<member.byteCount)
      : .file(archive.file, member.stored)
  }

  /// How many bytes there are.
  var byteCount: Int {
    switch self {
    case .file(_, let range), .deflated(_, let range): range.count
    }
  }

  /// A run inside, counted from the first byte.
  func extracting(_ run: Range<Int>) -> ElementBytes {
    precondition(run.lowerBound >= 0 && run.upperBound <= byteCount, "a run lies inside")
    switch self {
    case .file(let file, let range):
      return .file(file, range.lowerBound + run.lowerBound..<range.lowerBound + run.upperBound)
    case .deflated(let member, let range):
      return .deflated(
        member, range.lowerBound + run.lowerBound..<range.lowerBound + run.upperBound)
    }
  }

  /// Fills `buffer` with the bytes from `offset` on.
  ///
  /// - Precondition: the bytes lie inside.
  /// - Throws: ``StorageError`` when the file has shrunk, can't be read or is damaged.
  func read(at offset: Int, into buffer: inout MutableRawSpan) throws(StorageError) {
    precondition(
      offset >= 0 && buffer.byteCount <= byteCount - offset, "a read lies inside its bytes")
    switch self {
    case .file(let file, let range): try file.read(at: range.lowerBound + offset, into: &buffer)
    case .deflated(let member, let range):
      try member.read(at: range.lowerBound + offset, into: &buffer)
    }
  }
}
