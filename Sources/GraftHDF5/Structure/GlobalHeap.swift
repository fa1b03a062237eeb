internal import GraftCore
internal import Synchronization

/// The texts of varying length of a file's attributes, in collections.
final class GlobalHeap: Sendable {
  private let file: StructureFile
  private let known: Mutex<Known>

  /// The collection that was read last: texts that were written together stand together.
  private struct Known {
    var address: UInt64?
    var objects: [Int: ArraySlice<UInt8>] = [:]
    /// The bytes of texts that may still be given out.
    var room: Int
  }

  private static let rule: StaticString = "H-25"

  init(_ file: StructureFile) {
    self.file = file
    known = Mutex(Known(room: HDF5Limits.textBytes(ofFile: file.end - file.base)))
  }

  /// The bytes of an object of a collection.
  ///
  /// - Throws: ``StorageError`` when there is none, or what was read is too much altogether.
  func object(_ index: Int, at address: UInt64) throws(StorageError) -> ArraySlice<UInt8> {
    try known.withLock { known throws(StorageError) in
      if known.address != address {
        known.objects = try collection(at: address)
        known.address = address
      }
      guard let object = known.objects[index] else {
        throw StorageError(
          .malformed(
            rule: "HDF5 \(Self.rule)", expected: "an object of the heap",
            found: "number \(index), which isn't there"), file: file.path)
      }
      known.room -= object.count
      guard known.room >= 0 else {
        throw StorageError(
          .limitExceeded(
            limit: "bytes of text (\(Self.rule))",
            maximum: HDF5Limits.textBytes(ofFile: file.end - file.base), found: "more"),
          file: file.path)
      }
      return object
    }
  }

  private func collection(at address: UInt64) throws(StorageError) -> [Int: ArraySlice<UInt8>] {
    var head = try file.cursor(at: address, count: 16, "global heap", Self.rule)
    try head.signature("GCOL")
    try head.version(1...1)
    try head.skip(3)
    let count = try head.size()
    var cursor = try file.cursor(at: address, count: count, "global heap", Self.rule)
    try cursor.skip(16)
    var objects: [Int: ArraySlice<UInt8>] = [:]
    // Less than an object's head is a rest; the object 0 is what is free.
    while cursor.remaining >= 16 {
      let index = try cursor.u16()
      try cursor.skip(6)
      let size = try cursor.size()
      guard index != 0 else { break }
      guard objects.updateValue(try cursor.take(size), forKey: index) == nil else {
        throw cursor.malformed("each object of the heap once", found: "\(index) twice")
      }
      try cursor.skip(min((8 - size % 8) % 8, cursor.remaining))
    }
    return objects
  }
}
