internal import GraftCore

extension CheckpointReader {
  /// The positions of the tensors by name.
  var positions: [TensorName: Int] { tensors.positions }
}

extension CheckpointWriter {
  /// The positions of the tensors by name.
  var positions: [TensorName: Int] { tensors.positions }
}

extension [TensorInfo] {
  fileprivate var positions: [TensorName: Int] {
    Dictionary(enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
  }
}
