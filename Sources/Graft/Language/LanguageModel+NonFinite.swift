internal import GraftKernels

extension LanguageModel {
  /// The error of a loss or an output that isn't finite: of the adapter that has such a value, else of the model.
  func notFinite(_ quantity: String, with adapters: [Adapter]) -> any Error {
    for adapter in adapters {
      for tensor in adapter.checkpointTensors {
        let count = NonFiniteCount(in: tensor.value.bytes, of: tensor.value.dtype, from: 0)
        guard let first = count.first else { continue }
        return AdapterError(
          .nonFinite(tensor: tensor.name, element: first), file: adapter.file)
      }
    }
    let remedy = "find the tensors at fault: graft verify \(path)"
    return ModelError(
      .nonFinite(quantity), file: path,
      remedy: adapters.isEmpty ? remedy : remedy + "; all values of the adapters are finite")
  }
}
