internal import CHDF5
internal import GraftCore

/// Reading the attributes of an object.
enum Attribute {
  /// The values of an integer attribute with at most one dimension; nil when the object hasn't it.
  static func integers(
    _ name: String, of object: hid_t, _ status: HDF5Status
  ) throws(StorageError) -> [Int]? {
    let exists = unsafe H5Aexists(object, name)
    guard exists >= 0 else { throw status.failure("H5Aexists") }
    guard exists > 0 else { return nil }
    let attribute = try status.handle(
      unsafe H5Aopen(object, name, HDF5Library.defaults), "H5Aopen")
    let type = try status.handle(H5Aget_type(attribute.id), "H5Aget_type")
    let space = try status.handle(H5Aget_space(attribute.id), "H5Aget_space")
    let count = H5Sget_simple_extent_npoints(space.id)
    guard H5Tget_class(type.id) == H5T_INTEGER, H5Sget_simple_extent_ndims(space.id) <= 1,
      (0...hssize_t(Shape.maximumRank)).contains(count)
    else {
      throw status.malformed("H-15", expected: "a few integers in \(name)", found: "something else")
    }
    guard count > 0 else { return [] }
    var values = [Int64](repeating: 0, count: Int(count))
    try status.done(unsafe H5Aread(attribute.id, graft_h5t_i64(), &values), "H5Aread")
    return values.map { Int($0) }
  }

  /// The attributes of an object that are one text each, by name.
  static func texts(of object: hid_t, _ status: HDF5Status) throws(StorageError) -> [MetadataEntry]
  {
    var names: [String] = []
    let result = unsafe withUnsafeMutablePointer(to: &names) { pointer in
      unsafe graft_h5_visit_attributes(
        object,
        { _, name, _, context in
          guard let name = unsafe name,
            let names = unsafe context?.assumingMemoryBound(to: [String].self)
          else { return -1 }
          unsafe names.pointee.append(String(cString: name))
          return 0
        }, pointer)
    }
    guard result >= 0 else { throw status.failure("H5Aiterate2") }
    var entries: [MetadataEntry] = []
    for name in names {
      guard let value = try text(name, of: object, status) else { continue }
      entries.append(MetadataEntry(key: name, value: value))
    }
    return entries
  }

  /// The text of an attribute; nil when it is anything but one string.
  private static func text(
    _ name: String, of object: hid_t, _ status: HDF5Status
  ) throws(StorageError) -> String? {
    let attribute = try status.handle(
      unsafe H5Aopen(object, name, HDF5Library.defaults), "H5Aopen")
    let type = try status.handle(H5Aget_type(attribute.id), "H5Aget_type")
    let space = try status.handle(H5Aget_space(attribute.id), "H5Aget_space")
    guard H5Tget_class(type.id) == H5T_STRING, H5Sget_simple_extent_npoints(space.id) == 1 else {
      return nil
    }
    guard H5Tis_variable_str(type.id) <= 0 else {
      var text: UnsafeMutablePointer<CChar>?
      try status.done(unsafe H5Aread(attribute.id, type.id, &text), "H5Aread")
      defer { _ = unsafe H5free_memory(text) }
      return unsafe text.map { unsafe String(cString: $0) } ?? ""
    }
    let size = H5Tget_size(type.id)
    guard size <= HDF5Limits.textBytes else {
      throw StorageError(
        .limitExceeded(
          limit: "bytes of text", maximum: HDF5Limits.textBytes, found: "\(size) in \(name)"),
        file: status.file)
    }
    var bytes = [UInt8](repeating: 0, count: size)
    try status.done(unsafe H5Aread(attribute.id, type.id, &bytes), "H5Aread")
    return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }
}
