internal import CHDF5
internal import GraftCore

extension TreeBuilder {
  /// Gives a group attributes of a source, and creates it where it isn't there; no links lead to the root.
  mutating func annotate(
    _ group: LinkPath, with attributes: [HDF5Attribute]
  ) throws(StorageError) {
    guard !group.links.isEmpty else { return try annotate(file.id, with: attributes) }
    try create(group)
    guard !attributes.isEmpty else { return }
    let id = try status.handle(
      unsafe H5Gopen2(file.id, group.cString, HDF5Library.defaults), "H5Gopen2")
    try annotate(id.id, with: attributes)
  }

  /// Gives an object attributes of a source, but for those of a name that is there: what the layout says itself is right here.
  func annotate(
    _ object: hid_t, with attributes: [HDF5Attribute]
  ) throws(StorageError) {
    for attribute in attributes {
      let found = unsafe H5Aexists(object, attribute.name)
      try status.done(found, "H5Aexists")
      if found == 0 { try attach(attribute, to: object) }
    }
  }

  private func attach(_ attribute: HDF5Attribute, to object: hid_t) throws(StorageError) {
    switch attribute.value {
    case .numbers(let bytes, let dtype):
      try attach(attribute, bytes, of: dtype.makeStoredType(status), to: object)
    case .paddedTexts(let bytes, let byteCount, let form):
      let type = try textType(
        byteCount, padding: form.storedPadding, characters: form.storedCharacters)
      try attach(attribute, bytes, of: type, to: object)
    case .heapTexts(let texts, let form):
      try attach(attribute, texts, form, to: object)
    }
  }

  /// Bytes that stand in memory as in the file.
  private func attach(
    _ attribute: HDF5Attribute, _ bytes: [UInt8], of type: borrowing Handle, to object: hid_t
  ) throws(StorageError) {
    let created = try create(attribute.name, type.id, attribute.extents, on: object)
    guard !bytes.isEmpty else { return }
    try status.done(unsafe H5Awrite(created.id, type.id, bytes), "H5Awrite")
  }

  /// Texts, which the library puts into the heap.
  private func attach(
    _ attribute: HDF5Attribute, _ texts: [[UInt8]], _ form: HDF5TextForm, to object: hid_t
  ) throws(StorageError) {
    let type = try textType(
      Self.variable, padding: form.storedPadding, characters: form.storedCharacters)
    let created = try create(attribute.name, type.id, attribute.extents, on: object)
    guard !texts.isEmpty else { return }
    // One behind the other, each with its NUL.
    var starts: [Int] = []
    var characters: [CChar] = []
    for text in texts {
      starts.append(characters.count)
      characters += text.lazy.map { CChar(bitPattern: $0) }
      characters.append(0)
    }
    let result = unsafe characters.withUnsafeBufferPointer { characters in
      let pointers = unsafe starts.map { start in
        unsafe characters.baseAddress.map { unsafe $0 + start }
      }
      return unsafe H5Awrite(created.id, type.id, pointers)
    }
    try status.done(result, "H5Awrite")
  }
}

extension HDF5TextForm {
  /// The padding, as libhdf5 names it.
  fileprivate var storedPadding: H5T_str_t {
    switch padding {
    case 1: H5T_STR_NULLPAD
    case 2: H5T_STR_SPACEPAD
    default: H5T_STR_NULLTERM
    }
  }

  /// The characters, likewise.
  fileprivate var storedCharacters: H5T_cset_t {
    characters == 0 ? H5T_CSET_ASCII : H5T_CSET_UTF8
  }
}
