public import GraftCore

extension Inspection {
  /// The tensors of a checkpoint with their places, which are looked up when they are asked for.
  public struct Places: RandomAccessCollection, Sendable {
    /// The tensors alone.
    public let infos: [TensorInfo]
    private let reader: any CheckpointReader
    private let ownName: String
    private let fileNames: [ObjectIdentifier: String]
    /// The name of the file where there is one.
    private let soleName: String?

    init(_ reader: any CheckpointReader, _ names: RelativeNames) {
      self.reader = reader
      infos = reader.tensors
      ownName = names.name(of: reader.path)
      fileNames = Dictionary(
        reader.inputs.map { (ObjectIdentifier($0), names.name(of: $0.path)) },
        uniquingKeysWith: { first, _ in first })
      soleName = fileNames.count == 1 ? fileNames.first?.value : nil
    }

    /// The first position.
    public var startIndex: Int { 0 }
    /// The number of tensors.
    public var endIndex: Int { infos.count }

    /// A tensor with its place.
    public subscript(position: Int) -> Place {
      guard let extent = reader.extent(of: position) else {
        return Place(info: infos[position], file: ownName, offset: nil)
      }
      let name = soleName ?? fileNames[ObjectIdentifier(extent.file)]
      return Place(
        info: infos[position], file: name ?? ownName, offset: extent.range.lowerBound)
    }
  }
}
