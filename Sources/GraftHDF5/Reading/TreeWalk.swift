internal import CHDF5
internal import GraftCore

/// Finds the datasets of a file, link by link.
///
/// Only hard links are followed, every group once, none deeper than a limit.
struct TreeWalk {
  /// A dataset and the links that lead to it.
  struct Found {
    let links: [[UInt8]]
    let dataset: StoredDataset
    let dimensions: [Int]
    let index: Int?
    let shape: [Int]?
  }

  private let input: InputFile
  private let status: HDF5Status
  /// Whether the file says that it follows the layout, so that its attributes mean something.
  private let readsAttributes: Bool
  private var groups: Set<haddr_t> = []
  private var objectCount = 0
  private(set) var found: [Found] = []

  init(_ input: InputFile, _ status: HDF5Status, readsAttributes: Bool) {
    self.input = input
    self.status = status
    self.readsAttributes = readsAttributes
  }

  /// Walks everything below a group.
  mutating func walk(_ group: hid_t, links: [[UInt8]] = []) throws(StorageError) {
    guard links.count < HDF5Limits.depth else {
      throw limit("groups inside groups (H-5)", HDF5Limits.depth, links)
    }
    guard groups.insert(try address(of: group)).inserted else {
      throw status.malformed(
        "H-5", expected: "a tree", found: "a second way to the group \(name(links))")
    }
    for link in try self.links(of: group) {
      objectCount += 1
      guard objectCount <= HDF5Limits.objects else {
        throw limit("objects (H-5)", HDF5Limits.objects, links)
      }
      let path = links + [link.name]
      guard link.isHard else {
        throw StorageError(
          .refused(policy: "a link to another place (H-4)", found: name(path)), file: status.file)
      }
      let object = try status.handle(
        unsafe H5Oopen(group, link.name.map { CChar(bitPattern: $0) } + [0], HDF5Library.defaults),
        "H5Oopen of \(name(path))")
      switch H5Iget_type(object.id) {
      case H5I_GROUP: try walk(object.id, links: path)
      case H5I_DATASET: try add(object.id, path)
      default: break  // A named datatype holds no data.
      }
    }
  }

  private mutating func add(_ dataset: hid_t, _ links: [[UInt8]]) throws(StorageError) {
    var status = status
    status.tensor = TensorName(name(links))
    let described = try StoredDataset.describe(
      dataset, at: try address(of: dataset), in: input, status)
    var (index, shape): (Int?, [Int]?)
    if readsAttributes {
      index = try integers(Reserved.index, of: dataset, status)?.first
      shape = try integers(Reserved.shape, of: dataset, status)
    }
    found.append(
      Found(
        links: links, dataset: described.dataset, dimensions: described.dimensions, index: index,
        shape: shape))
  }

  // MARK: - Parts

  private func address(of object: hid_t) throws(StorageError) -> haddr_t {
    var info = H5O_info_t()
    try status.done(
      unsafe H5Oget_info2(object, &info, UInt32(H5O_INFO_BASIC)), "H5Oget_info2")
    return info.addr
  }

  private struct Link {
    let name: [UInt8]
    let isHard: Bool
  }

  private struct LinkList {
    var links: [Link] = []
    var room: Int
  }

  private func links(of group: hid_t) throws(StorageError) -> [Link] {
    var list = LinkList(room: HDF5Limits.objects - objectCount)
    let result = unsafe withUnsafeMutablePointer(to: &list) { pointer in
      unsafe graft_h5_visit_links(
        group,
        { _, name, info, context in
          guard let name = unsafe name, let info = unsafe info,
            let list = unsafe context?.assumingMemoryBound(to: LinkList.self)
          else { return -1 }
          guard unsafe list.pointee.links.count < list.pointee.room else { return 1 }
          let bytes = unsafe UnsafeBufferPointer(start: name, count: strnlen(name))
          let link = unsafe Link(
            name: bytes.map { UInt8(bitPattern: $0) },
            isHard: info.pointee.type == H5L_TYPE_HARD)
          unsafe list.pointee.links.append(link)
          return 0
        }, pointer)
    }
    guard result >= 0 else { throw status.failure("H5Literate") }
    guard result == 0 else { throw limit("objects (H-5)", HDF5Limits.objects, []) }
    guard list.links.allSatisfy({ $0.name.count <= HDF5Limits.nameBytes }) else {
      throw limit("bytes of a name (H-5)", HDF5Limits.nameBytes, [])
    }
    return list.links
  }

  /// The values of an integer attribute; nil when the object hasn't it.
  private func integers(
    _ attribute: String, of object: hid_t, _ status: HDF5Status
  ) throws(StorageError) -> [Int]? {
    try Attribute.integers(attribute, of: object, status)
  }

  private func name(_ links: [[UInt8]]) -> String {
    String(decoding: Array(links.joined(separator: [UInt8(ascii: ".")])), as: UTF8.self)
  }

  private func limit(_ what: String, _ maximum: Int, _ links: [[UInt8]]) -> StorageError {
    StorageError(
      .limitExceeded(limit: what, maximum: maximum, found: "more at \(name(links))"),
      file: status.file)
  }
}

/// The bytes of a C string before its NUL, at most one more than a name may have.
private func strnlen(_ text: UnsafePointer<CChar>) -> Int {
  var count = 0
  while count <= HDF5Limits.nameBytes, unsafe text[count] != 0 { count += 1 }
  return count
}
