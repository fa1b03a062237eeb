internal import CHDF5
internal import GraftCore

extension DType {
  /// The type of libhdf5 that describes the elements exactly, or an opaque one that carries the dtype's name.
  func makeStoredType(_ status: HDF5Status) throws(StorageError) -> Handle {
    if let fields = FloatFields.of(self) { return try fields.makeType(status) }
    let standard: hid_t? =
      switch self {
      case .u8: graft_h5t_u8()
      case .i8: graft_h5t_i8()
      case .u16: graft_h5t_u16()
      case .i16: graft_h5t_i16()
      case .u32: graft_h5t_u32()
      case .i32: graft_h5t_i32()
      case .u64: graft_h5t_u64()
      case .i64: graft_h5t_i64()
      default: nil
      }
    if let standard { return try status.handle(H5Tcopy(standard), "H5Tcopy") }
    switch self {
    case .bool:
      let type = try status.handle(H5Tenum_create(graft_h5t_i8()), "H5Tenum_create")
      for (name, value) in [("FALSE", 0), ("TRUE", 1)] {
        var member = Int8(value)
        try status.done(unsafe H5Tenum_insert(type.id, name, &member), "H5Tenum_insert")
      }
      return type
    case .c64:
      let type = try status.handle(H5Tcreate(H5T_COMPOUND, 8), "H5Tcreate")
      for (name, offset) in [("r", 0), ("i", 4)] {
        try status.done(unsafe H5Tinsert(type.id, name, offset, graft_h5t_f32()), "H5Tinsert")
      }
      return type
    default:
      let type = try status.handle(H5Tcreate(H5T_OPAQUE, layout.bytes), "H5Tcreate")
      try status.done(unsafe H5Tset_tag(type.id, rawValue), "H5Tset_tag")
      return type
    }
  }
}

extension DType {
  /// An opaque type without a name: what numpy's void is in HDF5.
  static func makePlainBytes(_ count: Int, _ status: HDF5Status) throws(StorageError) -> Handle {
    let type = try status.handle(H5Tcreate(H5T_OPAQUE, count), "H5Tcreate")
    try status.done(unsafe H5Tset_tag(type.id, ""), "H5Tset_tag")
    return type
  }
}

extension FloatFields {
  private var signPosition: Int { 8 * byteCount - 1 }

  /// Makes the little-endian type.
  func makeType(_ status: HDF5Status) throws(StorageError) -> Handle {
    let base = byteCount > 4 ? graft_h5t_f64() : graft_h5t_f32()
    let type = try status.handle(H5Tcopy(base), "H5Tcopy")
    try status.done(
      H5Tset_fields(type.id, signPosition, exponentPosition, exponentBits, 0, exponentPosition),
      "H5Tset_fields")
    try status.done(H5Tset_size(type.id, byteCount), "H5Tset_size")
    try status.done(H5Tset_ebias(type.id, bias), "H5Tset_ebias")
    return type
  }
}
