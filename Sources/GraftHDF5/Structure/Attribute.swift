internal import GraftCore

/// A named value of a group or dataset.
struct Attribute {
  /// The name.
  let name: [UInt8]
  private let type: Datatype
  private let dimensions: [Int]?
  private let data: StructureCursor

  private static let rule: StaticString = "H-25"

  /// Reads the message; of one whose type or extents are kept elsewhere only the name.
  ///
  /// - Throws: ``StorageError`` when it breaks its form.
  private init(_ body: StructureCursor) throws(StorageError) {
    var cursor = body
    let version = try cursor.version(1...3)
    let flags = try cursor.u8()
    let (nameBytes, typeBytes, spaceBytes) = (
      try cursor.u16(), try cursor.u16(), try cursor.u16()
    )
    if version == 3 { try cursor.skip(1) }
    func padded(_ count: Int) -> Int { version == 1 ? (count + 7) / 8 * 8 : count }
    name = Array(try cursor.take(padded(nameBytes)).prefix { $0 != 0 })
    var typePart = try cursor.part(padded(typeBytes))
    let spacePart = try cursor.part(padded(spaceBytes))
    data = cursor
    guard version == 1 || flags & 3 == 0 else {
      (type, dimensions) = (.other("a type kept elsewhere", byteCount: 1), nil)
      return
    }
    type = try Datatype(&typePart)
    dimensions = Self.isNull(spacePart) ? nil : try Dataspace(spacePart).dimensions
  }

  /// An attribute of which not even the name is read.
  private init(elsewhere body: StructureCursor) {
    name = Array("without a name here".utf8)
    (type, dimensions) = (.other("a type kept elsewhere", byteCount: 1), nil)
    data = body
  }

  /// Whether a dataspace has no extents: an attribute without a value.
  private static func isNull(_ space: StructureCursor) -> Bool {
    let bytes = space.rest
    return bytes.count >= 4 && bytes[bytes.startIndex] == 2 && bytes[bytes.startIndex + 3] == 2
  }

  // MARK: - Finding

  /// The attributes of an object, in the order of their names.
  ///
  /// - Throws: ``StorageError`` when the structure that holds them is broken.
  static func all(of header: ObjectHeader, in file: StructureFile) throws(StorageError)
    -> [Attribute]
  {
    var attributes: [Attribute] = []
    for message in header.messages where message.kind == .attribute {
      let body = header.body(of: message).under("attribute", rule)
      attributes.append(message.isShared ? Attribute(elsewhere: body) : try Attribute(body))
    }
    if let info = try header.body(.attributeInfo)?.under("attribute", rule) {
      var cursor = info
      try cursor.version(0...0)
      let flags = try cursor.u8()
      try cursor.skip(flags & 1 != 0 ? 2 : 0)
      if let heapAddress = try cursor.address(), let names = try cursor.address() {
        let heap = try FractalHeap(at: heapAddress, in: file)
        try BTree2(at: names, in: file).forEachRecord { record throws(StorageError) in
          var record = record
          let identifier = try record.part(heap.identifierBytes)
          let isShared = try record.u8() & 0x02 != 0
          guard !isShared else {
            attributes.append(Attribute(elsewhere: record))
            return
          }
          attributes.append(try Attribute(try heap.object(identifier, "attribute", rule)))
        }
      }
    }
    guard attributes.count <= HDF5Limits.attributes else {
      throw StorageError(
        .limitExceeded(
          limit: "attributes of an object (H-25)", maximum: HDF5Limits.attributes,
          found: "\(attributes.count)"), file: file.path)
    }
    return attributes.count < 2 ? attributes : attributes.sorted { $0.name.precedes($1.name) }
  }

  /// Whether this is the attribute of a name.
  func isNamed(_ text: String) -> Bool { name.elementsEqual(text.utf8) }

  // MARK: - Values

  /// The values of integers of at most one dimension.
  ///
  /// - Throws: ``StorageError`` when the attribute is anything else.
  func integers() throws(StorageError) -> [Int] {
    guard case .integer(let width, let isSigned, let isBigEndian) = type, let dimensions,
      dimensions.count <= 1, width <= 8
    else {
      throw data.malformed(
        "integers in the attribute \(text(name))", found: "something else")
    }
    let count = dimensions.reduce(1, *)
    guard count <= data.remaining / width else {
      throw data.malformed("\(count) integers", found: "\(data.remaining) bytes")
    }
    var cursor = data
    var values: [Int] = []
    for _ in 0..<count {
      let stored = try cursor.number(width)
      var value = isBigEndian ? stored.byteSwapped >> UInt64(64 - 8 * width) : stored
      let sign = UInt64(1) << UInt64(8 * width - 1)
      if isSigned, value & sign != 0 { value |= ~(sign | (sign - 1)) }
      guard isSigned || value <= Int.max else {
        throw data.malformed("integers below 2^63", found: "\(value)")
      }
      values.append(Int(truncatingIfNeeded: value))
    }
    return values
  }

  /// Where in the file the value stands, if it is one signed number of eight bytes, the low one first.
  var placeOfNumber: Range<Int>? {
    guard case .integer(8, isSigned: true, isBigEndian: false) = type,
      dimensions?.isEmpty == true, data.remaining >= 8
    else { return nil }
    return data.offset..<data.offset + 8
  }

  /// Where in the file the value stands, if it is one text of a fixed number of bytes.
  var placeOfText: Range<Int>? {
    guard case .text(let width, _) = type, isSingle,
      data.remaining >= width
    else { return nil }
    return data.offset..<data.offset + width
  }

  /// Where in the file the value stands, if it refers to one text in a heap.
  var placeOfHeapText: Range<Int>? {
    guard case .heapText = type, isSingle,
      data.remaining >= type.byteCount
    else { return nil }
    return data.offset..<data.offset + type.byteCount
  }

  /// The texts of strings of either kind, of at most one dimension; nil when the attribute is anything else.
  ///
  /// - Throws: ``StorageError`` when a text lies outside its heap, or all are too long together.
  func texts(_ heaps: GlobalHeap) throws(StorageError) -> [[UInt8]]? {
    guard let dimensions, dimensions.count <= 1 else { return nil }
    return try texts(dimensions.reduce(1, *), heaps)
  }

  /// A number of texts; nil when the values are anything else.
  private func texts(
    _ count: Int, _ heaps: GlobalHeap
  ) throws(StorageError) -> [[UInt8]]? {
    var cursor = data
    var result: [[UInt8]] = []
    switch type {
    case .text(let width, _):
      guard count <= data.remaining / width else {
        throw data.malformed("\(count) texts of \(width) bytes", found: "\(data.remaining) bytes")
      }
      for _ in 0..<count { result.append(Array(try cursor.take(width).prefix { $0 != 0 })) }
    case .heapText:
      guard count <= data.remaining / 16 else {
        throw data.malformed("\(count) texts in a heap", found: "\(data.remaining) bytes")
      }
      for _ in 0..<count {
        let length = try cursor.u32()
        let address = try cursor.number(8)
        let index = try cursor.u32()
        guard length > 0, address != .max, index > 0 else {
          result.append([])
          continue
        }
        let bytes = try heaps.object(index, at: address)
        guard length <= bytes.count else {
          throw cursor.malformed("a text of \(length) bytes", found: "\(bytes.count) in the heap")
        }
        result.append(Array(bytes.prefix(length).prefix { $0 != 0 }))
      }
    default: return nil
    }
    return result
  }

  /// The value where the attribute is one text of UTF-8 and no list.
  func text(_ heaps: GlobalHeap) throws(StorageError) -> String? {
    guard isSingle, let bytes = try texts(heaps)?.first else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Whether the value is one text and no list.
  var isText: Bool {
    switch type {
    case .text, .heapText: isSingle
    default: false
    }
  }

  private var isSingle: Bool { dimensions?.isEmpty == true || dimensions == [1] }

  private func text(_ name: [UInt8]) -> String { String(decoding: name, as: UTF8.self) }

  // MARK: - Copying

  /// Whether another file can hold the attribute: it is numbers that dtypes are, or texts, or nothing of these types, and its
  /// name means nothing there.
  ///
  /// Texts in the heap are looked at when they are copied.
  var canBeCopied: Bool {
    guard PlannedAttribute.canHold(name: name), !name.starts(with: Reserved.prefix.utf8),
      !KerasGroup.isList(name), !KerasKey.all.contains(text(name))
    else { return false }
    switch type {
    case .text(_, let form), .heapText(let form): guard form.isKnown else { return false }
    default: guard StoredType(type) != nil else { return false }
    }
    guard let dimensions else { return true }
    let (count, isTooMuch) = dimensions.reduce(1, *).multipliedReportingOverflow(
      by: type.byteCount)
    return !isTooMuch && count <= data.remaining
  }

  /// The attribute as another file holds it; nil where none can.
  ///
  /// - Throws: ``StorageError`` when a text lies outside its heap, or all are too long together.
  func copied(_ heaps: GlobalHeap) throws(StorageError) -> HDF5Attribute? {
    guard canBeCopied else { return nil }
    let count = dimensions?.reduce(1, *) ?? 0
    var cursor = data
    let value: HDF5Attribute.Value
    switch type {
    case .heapText(let form):
      value = .heapTexts(try texts(count, heaps) ?? [], form)
    case .text(let width, let form):
      value = .paddedTexts(
        Array(try cursor.take(count * width)), byteCount: width, form)
    default:
      guard let stored = StoredType(type) else { return nil }
      var bytes = Array(try cursor.take(count * stored.elementBytes))
      bytes.swapBytes(of: stored.swappedBytes)
      value = .numbers(bytes, stored.dtype)
    }
    return HDF5Attribute(name: text(name), extents: dimensions, value: value)
  }
}
