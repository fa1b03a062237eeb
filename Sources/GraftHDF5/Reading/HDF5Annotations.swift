package import GraftCore

/// What an HDF5 file has besides tensors and metadata that another one can hold as well: attributes that are numbers or texts, and groups
/// with nothing in them.
///
/// Only their places are known; the attributes of an object are read when they are written.
public struct HDF5Annotations: Sendable {
  private let tree: AnnotatedTree
  private let places: [AnnotatedGroup]
  /// The header of the dataset of each tensor to be written; nil where it has no such attributes, and none where none has any.
  private let datasets: [UInt64?]
  private let heaps: GlobalHeap

  init(_ tree: AnnotatedTree, datasets: [UInt64?], inKeras: Bool) {
    (self.tree, self.datasets) = (tree, datasets)
    places = tree.isKeras && !inKeras ? tree.groups.filter { $0.address != nil } : tree.groups
    heaps = GlobalHeap(tree.file)
  }

  /// What another file holds, in the words of ``HDF5Reader/omissions``.
  public var held: [String] { tree.held }

  /// What none can hold, likewise: attributes of other types or of names that the layouts use, and those of files inside.
  public var losses: [String] { tree.losses }

  // MARK: - Groups

  /// The groups that have something.
  package var groups: Range<Int> { places.indices }

  /// The name that the tensors below a group begin with; nil for the root.
  package func name(ofGroup number: Int) -> TensorName? {
    let links = links(ofGroup: number)
    guard let last = links.last else { return nil }
    if tree.meaning == .ours { return DatasetPath.name(groups: links.dropLast(), link: last) }
    return tree.isKeras
      ? KerasPath.name(links: links)
      : TensorName(utf8: Array(links.joined(separator: [UInt8(ascii: ".")])))
  }

  /// The attributes of a group.
  ///
  /// - Throws: ``StorageError`` when a text lies outside its heap, or the texts are too long altogether.
  package func attributes(ofGroup number: Int) throws(StorageError) -> [HDF5Attribute] {
    guard let address = places[number].address else { return [] }
    let links = links(ofGroup: number)
    return try attributes(at: address) { tree.meaning.keeps($0, ofGroup: links) }
  }

  private func links(ofGroup number: Int) -> [[UInt8]] {
    places[number].path.links.map { Array($0) }
  }

  // MARK: - Datasets

  /// The attributes of the dataset of a tensor.
  ///
  /// - Throws: ``StorageError``, likewise.
  package func attributes(ofTensor number: Int) throws(StorageError) -> [HDF5Attribute] {
    guard datasets.indices.contains(number), let address = datasets[number] else { return [] }
    return try attributes(at: address) { tree.meaning.keepsOfDataset($0) }
  }

  private func attributes(
    at address: UInt64, besides isKept: (Attribute) -> Bool
  ) throws(StorageError) -> [HDF5Attribute] {
    let header = try ObjectHeader(at: address, in: tree.file)
    var copies: [HDF5Attribute] = []
    for attribute in try Attribute.all(of: header, in: tree.file).others(besides: isKept) {
      if let copy = try attribute.copied(heaps) { copies.append(copy) }
    }
    return copies
  }
}

/// Where a file has what another one can hold as well.
struct AnnotatedTree: Sendable {
  let file: StructureFile
  let meaning: TreeWalk.Meaning
  let isKeras: Bool
  let groups: [AnnotatedGroup]
  /// What another file holds, and what none can, in words.
  let held: [String]
  let losses: [String]

  init(_ walk: TreeWalk, isKeras: Bool, _ file: StructureFile) {
    self.file = file
    self.isKeras = isKeras
    (meaning, groups) = (walk.meaning, walk.annotated)
    losses = walk.unheld.words(namingGroups: !isKeras)
    held = walk.omissions.words(namingGroups: !isKeras, besides: walk.unheld)
  }
}

/// A group with attributes that another file can hold, or with nothing in it.
struct AnnotatedGroup: Sendable {
  let path: LinkPath
  /// Where its header is; nil where it has no attributes.
  let address: UInt64?
}
