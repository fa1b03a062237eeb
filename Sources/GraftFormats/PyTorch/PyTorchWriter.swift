public import GraftCore

/// A state dictionary being written as `torch.save` does: an archive with a pickle that describes tensors and nothing else.
///
/// `torch.load(weights_only=True)` reads it. Names that stand for one tensor share its storage. The same tensors make the same bytes.
public struct PyTorchWriter: LaidOutWriter {
  /// The tensors and their places.
  public let layout: LaidOutTensors

  /// What the usual names of a model's weights begin with.
  public static let stem = "pytorch_model"
  /// The usual name of a model's weights in one file.
  public static let fileName = stem + ".bin"

  private static let folder = "archive"

  /// Lays the file out and writes everything but the tensors.
  ///
  /// - Parameter copies: Further names, each with the tensor that it stands for.
  /// - Throws: ``StorageError`` for dtypes that PyTorch hasn't, names that occur twice, or a full disk.
  public init(
    _ tensors: [TensorInfo], copies: [(name: TensorName, of: TensorName)] = [],
    to output: OutputFile
  ) throws(StorageError) {
    var entries: [StateDictionaryPickle.Entry] = []
    var places: [TensorName: Int] = [:]
    for (key, tensor) in tensors.enumerated() {
      guard let type = TorchType(tensor.dtype), Self.canHold(tensor) else {
        throw StorageError(
          .notRepresentable(what: "\(tensor.dtype)", inFormat: "PyTorch"), file: output.target,
          tensor: tensor.name, remedy: "choose a type that it has, for example --dtype bf16")
      }
      try Self.add(tensor.name, key, to: &places, file: output.target)
      entries.append(.init(name: tensor.name, info: tensor, type: type, key: key))
    }
    for copy in copies {
      guard let key = places[copy.of] else { continue }
      try Self.add(copy.name, key, to: &places, file: output.target)
      entries.append(
        .init(name: copy.name, info: tensors[key], type: entries[key].type, key: key))
    }
    try entries.lazy.map(\.name).checkDiffer(inFormat: "PyTorch", file: output.target)
    let pickle = StateDictionaryPickle(entries).bytes
    let heads: [(name: String, bytes: [UInt8])] = [
      ("data.pkl", pickle), ("byteorder", Array("little".utf8)), ("version", Array("3\n".utf8)),
    ]
    let archive = try ZipWriter(
      heads.map { (name: "\(Self.folder)/\($0.name)", byteCount: $0.bytes.count) }
        + tensors.enumerated().map {
          (name: "\(Self.folder)/data/\($0.offset)", byteCount: $0.element.byteCount)
        }, to: output)
    for (position, head) in heads.enumerated() {
      try archive.write(head.bytes, of: position, at: 0)
    }
    layout = LaidOutTensors(
      tensors, in: archive, at: tensors.indices.map { (member: heads.count + $0, offset: 0) },
      target: output.target)
  }

  private static func add(
    _ name: TensorName, _ key: Int, to places: inout [TensorName: Int], file: String
  ) throws(StorageError) {
    places[name] = key
    guard String(validating: name.utf8, as: UTF8.self) != nil else {
      throw StorageError(
        .notRepresentable(what: "a name that isn't UTF-8", inFormat: "PyTorch"), file: file,
        tensor: name)
    }
  }

  /// Whether PyTorch's tensors can have the shape: pairs of 4-bit floats lie along the last dimension.
  private static func canHold(_ tensor: TensorInfo) -> Bool {
    tensor.dtype != .f4 || tensor.shape.rank > 0 && tensor.shape.columns % 2 == 0
  }
}
