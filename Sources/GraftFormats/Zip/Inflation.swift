internal import CZlib
internal import GraftCore

/// A deflated member being unpacked from its start, never beyond the size that it declares.
///
/// Safety: one thread at a time works with it, its owner sees to that; the stream stands at one address from `inflateInit2` to
/// `inflateEnd`, as zlib wants it; input and target are regions that live as long as the call.
@safe final class Inflation: @unchecked Sendable {
  private let stream: UnsafeMutablePointer<z_stream>
  private let file: InputFile
  private let member: ZipMember
  private let input: Memory
  /// The bytes of `input` that zlib hasn't taken.
  private var pending: Range<Int> = 0..<0
  /// The next byte of the archive to read.
  private var source: Int
  private var hasEnded = false
  /// The bytes unpacked so far.
  private(set) var position = 0

  private static let inputByteCount = 1 << 16

  /// Begins at a member's first byte.
  ///
  /// - Throws: ``StorageError`` without memory.
  init(_ member: ZipMember, in file: InputFile) throws(StorageError) {
    input = try Memory(byteCount: Self.inputByteCount)
    self.file = file
    self.member = member
    source = member.stored.lowerBound
    unsafe stream = .allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    // A negative window means: no zlib header around the deflate stream.
    let code = unsafe inflateInit2_(
      stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard code == Z_OK else { throw .noMemory(for: "unpacking \(member.name)") }
  }

  deinit {
    // A stream that wasn't begun is passed over.
    _ = unsafe inflateEnd(stream)
    unsafe stream.deallocate()
  }

  /// Unpacks the next bytes into a whole region.
  ///
  /// - Throws: ``StorageError`` where the stream is damaged, or ends before.
  func fill(_ target: Memory) throws(StorageError) {
    var done = 0
    while done < target.byteCount {
      guard !hasEnded else { throw damaged("\(member.byteCount) bytes", "\(position) bytes") }
      done += try step(target, from: done)
    }
  }

  /// Checks that the stream ends where its member does, behind the bytes that were unpacked.
  func checkEnd() throws(StorageError) {
    let spare = try Memory(byteCount: 1)
    while !hasEnded {
      guard try step(spare, from: 0) == 0 else {
        throw damaged("\(member.byteCount) bytes", "more")
      }
    }
    guard source == member.stored.upperBound, pending.isEmpty else {
      throw damaged("a stream of \(member.stored.count) bytes", "one that ends before")
    }
  }

  /// Reads the next bytes of the member, of which there are some.
  private func refill() throws(StorageError) {
    let count = min(Self.inputByteCount, member.stored.upperBound - source)
    let (file, source) = (file, source)
    try input.withMutableBytes { (whole: inout MutableRawSpan) throws(StorageError) in
      var part = whole._mutatingExtracting(0..<count)
      try file.read(at: source, into: &part)
    }
    self.source += count
    pending = 0..<count
  }

  /// Gives zlib input and room once; the number of bytes that came out.
  private func step(_ target: Memory, from done: Int) throws(StorageError) -> Int {
    // With all input taken, zlib may still owe the rest of a match that the last room was too small for.
    if pending.isEmpty, source < member.stored.upperBound { try refill() }
    let room = min(target.byteCount - done, 1 << 30)
    unsafe stream.pointee.next_in = input.address(at: pending.lowerBound)?
      .assumingMemoryBound(to: UInt8.self)
    unsafe stream.pointee.avail_in = uInt(pending.count)
    unsafe stream.pointee.next_out = target.address(at: done)?
      .assumingMemoryBound(to: UInt8.self)
    unsafe stream.pointee.avail_out = uInt(room)
    let code = unsafe inflate(stream, Z_NO_FLUSH)
    let taken = pending.count - Int(unsafe stream.pointee.avail_in)
    let given = room - Int(unsafe stream.pointee.avail_out)
    withExtendedLifetime((input, target)) {}
    pending = pending.lowerBound + taken..<pending.upperBound
    position += given
    switch code {
    case Z_OK: break
    case Z_STREAM_END: hasEnded = true
    case Z_BUF_ERROR where taken > 0 || given > 0: break
    case Z_BUF_ERROR: throw damaged("the stream's end", "the member's end before it")
    case Z_MEM_ERROR: throw .noMemory(for: "unpacking \(member.name)")
    default: throw damaged("a deflate stream", "a defect after \(position) bytes")
    }
    return given
  }

  private func damaged(_ expected: String, _ found: String) -> StorageError {
    StorageError(
      .malformed(rule: "zip Z-15", expected: expected + " in \(member.name)", found: found),
      file: file.path, offset: member.stored.lowerBound)
  }
}
