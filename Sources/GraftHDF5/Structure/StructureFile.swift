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
    var room: Int
  }

  /// The bytes read at once; structure written together is read together.
  private static let blockBytes = 32 << 10
  /// The blocks kept.
  private static let blockCount = 64

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
    of address: UInt64, count: Int, _ part: String, tensor: TensorName? = nil
  ) throws(StorageError) -> Int {
    guard let distance = Int(exactly: address), distance <= end - base,
      count <= end - base - distance
    else {
      let found = end - base - min(Int(clamping: address), end - base)
      throw StorageError(
        .truncated(part: part, expectedBytes: count, foundBytes: found), file: path,
        tensor: tensor, offset: base + min(Int(clamping: address), .max - base))
    }
    return base + distance
  }

  /// A part of the structure, to be read from its beginning.
  func cursor(
    at address: UInt64, count: Int, _ part: String, _ rule: String
  ) throws(StorageError) -> StructureCursor {
    guard count <= HDF5Limits.partBytes else {
      throw StorageError(
        .limitExceeded(
          limit: "bytes of one part of the structure (\(rule))", maximum: HDF5Limits.partBytes,
          found: "\(count) of \(part)"), file: path)
    }
    let start = try offset(of: address, count: count, "\(part) (\(rule))")
    return StructureCursor(
      try bytes(at: start, count: count), at: start, of: self, part, rule)
  }

  /// As much of a part as the file has, up to `count` bytes.
  func beginning(
    at address: UInt64, count: Int, _ part: String, _ rule: String
  ) throws(StorageError) -> StructureCursor {
    let start = try offset(of: address, count: 0, "\(part) (\(rule))")
    let count = min(count, end - start)
    return StructureCursor(
      try bytes(at: start, count: count), at: start, of: self, part, rule)
  }

  /// Counts bytes that are taken out of a part which was counted once, such as a name in a heap that many links may share.
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

  /// Bytes of the file, from the blocks that are kept.
  private func bytes(at offset: Int, count: Int) throws(StorageError) -> ArraySlice<UInt8> {
    let (number, first) = offset.quotientAndRemainder(dividingBy: Self.blockBytes)
    let known: ArraySlice<UInt8>? = try state.withLock { state throws(StorageError) in
      try spend(count + 64, of: &state)
      guard first + count <= Self.blockBytes else { return nil }
      if let block = state.blocks[number] { return block[first..<first + count] }
      let start = number * Self.blockBytes
      let block = try input.bytes(at: start, count: min(Self.blockBytes, end - start))
      if state.order.count == Self.blockCount {
        // Half at once, so that forgetting costs little.
        for old in state.order.prefix(Self.blockCount / 2) { state.blocks[old] = nil }
        state.order.removeFirst(Self.blockCount / 2)
      }
      state.blocks[number] = block
      state.order.append(number)
      return block[first..<first + count]
    }
    if let known { return known }
    return try input.bytes(at: offset, count: count)[...]
  }
}
