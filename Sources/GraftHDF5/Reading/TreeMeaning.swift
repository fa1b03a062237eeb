internal import GraftCore

extension TreeWalk {
  /// What attributes mean.
  enum Meaning {
    /// The file follows the layout.
    case ours
    /// Somebody's tree.
    case foreign
    /// Keras's legacy layout, where bytes without a name are bf16.
    case legacyKeras
  }
}

extension TreeWalk.Meaning {
  /// Whether a checkpoint keeps an attribute of a group in its own way: as metadata, or because it or Keras writes it by itself.
  func keeps(_ attribute: Attribute, ofGroup links: [[UInt8]]) -> Bool {
    switch self {
    case .ours: links.isEmpty && attribute.isNamed(Reserved.version)
    case .foreign, .legacyKeras:
      links.isEmpty && attribute.isText
        || KerasGroup.isUsual(attribute, at: links, isLegacy: self == .legacyKeras)
    }
  }

  /// Whether an attribute of a dataset may say what its tensor is, beside those of the layout's own names.
  func keepsOfDataset(_ attribute: Attribute) -> Bool {
    self == .foreign && attribute.isNamed("dtype") && attribute.isText
  }

  /// Whether a group or dataset of a source has a place in another file: in Graft's layout those of its own haven't.
  func hasPlace(for links: [[UInt8]]) -> Bool {
    guard self == .ours, let last = links.last else { return true }
    return links[0].first != UInt8(ascii: ".")
      && DatasetPath.name(groups: Array(links.dropLast()), link: last) != nil
  }
}
