/// A value on the machine's stack: small ones themselves, others as their places in the machine's tables.
///
/// Values refer to each other by place, so that what a pickle shares or nests is never copied.
enum PickleValue {
  case none
  case boolean(Bool)
  case integer(Int)
  /// An integer beyond 64 bits, by its little-endian bytes.
  case wideInteger(PickleSlice)
  case real(Double)
  /// Text, by its bytes in the pickle.
  case text(PickleSlice)
  /// Bytes of the pickle.
  case bytes(PickleSlice)
  /// Items of the table of tuples.
  case tuple(PickleSlice)
  case list(Int32)
  case dictionary(Int32)
  /// A set: the place of its list.
  case set(Int32)
  case global(Int32)
  case storage(Int32)
  case tensor(Int32)
  /// What has no meaning here: its place among the words for such things.
  case other(Int32)
}

/// A run of bytes of a pickle, or of items of a table.
struct PickleSlice: Hashable {
  let start: UInt32
  let count: UInt32

  init(_ range: Range<Int>) {
    start = UInt32(range.lowerBound)
    count = UInt32(range.count)
  }

  var range: Range<Int> { Int(start)..<Int(start) + Int(count) }
}

/// A storage that a pickle refers to.
struct PickledStorage: Equatable {
  /// The name of its record.
  let key: String
  let type: TorchType
  /// The elements of the record.
  let total: Int
  /// The elements that this view of the record has, and the first of them.
  let count: Int
  let offset: Int

  /// The hash by which a table finds it.
  var tableHash: UInt32 {
    var hasher = Hasher()
    hasher.combine(key)
    hasher.combine(total)
    hasher.combine(count)
    hasher.combine(offset)
    return UInt32(truncatingIfNeeded: hasher.finalize())
  }
}

/// A tensor that a pickle describes.
struct PickledTensor: Equatable {
  /// The place of its storage.
  let storage: Int
  let type: TorchType
  let offset: Int
  let extents: [Int]
  let strides: [Int]

  /// The hash by which a table finds it.
  var tableHash: UInt32 {
    var hasher = Hasher()
    hasher.combine(storage)
    hasher.combine(offset)
    for extent in extents { hasher.combine(extent) }
    for stride in strides { hasher.combine(stride) }
    return UInt32(truncatingIfNeeded: hasher.finalize())
  }
}
