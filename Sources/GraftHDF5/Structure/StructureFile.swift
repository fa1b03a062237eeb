internal import GraftCore
internal import Synchronization

/// The structure of an HDF5 file, everything but the elements of its datasets: read in blocks, bounded and counted.
///
/// The bytes handed out are counted against a limit that grows with the file, so parts that refer to each other in
/// circles, or by the million to one part, end in an error and not in hours.
final class StructureFile: Sendable {
  let input: InputFile
  /// Where in the file the address 0 is.
  let base: Int
  /// Where the data ends.
  let end: Int
  private let state: Mutex<State>

  private struct State {
    var blocks: [Int: [UInt8]] = [:]
    var order: [Int] = []
    /// The block that was read from last, which the next part mostly stands in as well.
    var last: (number: Int, bytes: [UInt8]) = (-1, [])
    var room: Int
  }

  /// The bytes read at once; structure written together is read together.
  private static let blockBytes = 32 << 10
  /// What a part costs besides its bytes.
  static let partCost = 64
  /// The blocks kept.
  private static let blockCount = 256

  /// Reads the structure between `base` and `end` of a file.
  init(_ input: InputFile, base: Int, end: Int) {
    self.input = input
    self.base = base
    self.end = end
    let (scaled, isTooMuch) = (end - base).multipliedReportingOverflow(
      by: HDF5Limits.structureExpansion)
    state = Mutex(
      State(room: isTooMuch ? .max / 2 : HDF5Limits.structureBytes + scaled))
  }

  /// The path, for errors.
  var path: String { input.path }

  /// The place in the file of `count` bytes at an address.
  ///
  /// - Throws: ``StorageError/Reason/truncated(part:expectedBytes:foundBytes:)`` when they aren't all inside the data.
  func offset(
    of address: UInt64, count: Int, _ part: @autoclosure () -> String,
    tensor: @autoclosure () -> TensorName? = nil
  ) throws(StorageError) -> Int {
    guard let distance = Int(exactly: address), distance <= end - base,
      count <= end - base - distance
    else {
      let found = end - base - min(Int(clamping: address), end - base)
      throw StorageError(
        .truncated(part: part(), expectedBytes: count, foundBytes: found), file: path,
        tensor: tensor(), offset: base + min(Int(clamping: address), .max - base))
    }
    return base + distance
  }

  /// A part of the structure, to be read from its beginning.
  func cursor(
    at address: UInt64, count: Int, _ part: StaticString, _ rule: StaticString
  ) throws(StorageError) -> StructureCursor {
    guard count <= HDF5Limits.partBytes else {
      throw StorageError(
        .limitExceeded(
          limit: "bytes of one part of the structure (\(rule))", maximum: HDF5Limits.partBytes,
          found: "\(count) of \(part)"), file: path)
    }
    let start = try offset(of: address, count: count, "\(part) (\(rule))")
    let (bytes, first) = try block(at: start, count: count)
    return StructureCursor(bytes, first..<first + count, at: start, of: self, part, rule)
  }

  /// As much of a part as the file has, up to `count` bytes.
  func beginning(
    at address: UInt64, count: Int, _ part: StaticString, _ rule: StaticString
  ) throws(StorageError) -> StructureCursor {
    let start = try offset(of: address, count: 0, "\(part) (\(rule))")
    let count = min(count, end - start)
    let (bytes, first) = try block(at: start, count: count)
    return StructureCursor(bytes, first..<first + count, at: start, of: self, part, rule)
  }

  /// The block that an address stands in, and the bytes from there on that are data; nil outside the data.
  func block(holding address: UInt64) throws(StorageError) -> (bytes: [UInt8], range: Range<Int>)? {
    guard let distance = Int(exactly: address), distance < end - base else { return nil }
    let (number, first) = (base + distance).quotientAndRemainder(dividingBy: Self.blockBytes)
    let bytes = try state.withLock { state throws(StorageError) in
      try block(number, of: &state)
    }
    return (bytes, first..<bytes.count)
  }

  /// Counts bytes that are taken out of a block, or once more out of a part which was counted, such as a name in a heap that many links may
  /// share.
  func spend(_ count: Int) throws(StorageError) {
    try state.withLock { state throws(StorageError) in try spend(count, of: &state) }
  }

  private func spend(_ count: Int, of state: inout State) throws(StorageError) {
    state.room -= count
    guard state.room >= 0 else {
      throw StorageError(
        .limitExceeded(
          limit: "bytes of structure for each byte of the file (H-20)",
          maximum: HDF5Limits.structureExpansion, found: "parts that are reached again and again"),
        file: path)
    }
  }

  /// A block that holds bytes of the file, one of those that are kept if they stand in one, and where in it they begin.
  private func block(
    at offset: Int, count: Int
  ) throws(StorageError) -> (bytes: [UInt8], first: Int) {
    let (number, first) = offset.quotientAndRemainder(dividingBy: Self.blockBytes)
    let known: [UInt8]? = try state.withLock { state throws(StorageError) in
      try spend(count + Self.partCost, of: &state)
      return first + count <= Self.blockBytes ? try block(number, of: &state) : nil
    }
    if let known { return (known, first) }
    return (try input.bytes(at: offset, count: count), 0)
  }

  /// A block by its number; it ends where the data end.
  private func block(_ number: Int, of state: inout State) throws(StorageError) -> [UInt8] {
    if state.last.number == number { return state.last.bytes }
    if let bytes = state.blocks[number] {
      state.last = (number, bytes)
      return bytes
    }
    let start = number * Self.blockBytes
    let bytes = try input.bytes(at: start, count: min(Self.blockBytes, end - start))
    if state.order.count == Self.blockCount {
      // Half at once, so that forgetting costs little.
      for old in state.order.prefix(Self.blockCount / 2) { state.blocks[old] = nil }
      state.order.removeFirst(Self.blockCount / 2)
    }
    state.blocks[number] = bytes
    state.order.append(number)
    state.last = (number, bytes)
    return bytes
  }
}
