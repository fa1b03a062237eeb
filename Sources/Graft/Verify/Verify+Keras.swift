internal import GraftCore
internal import GraftHDF5

extension Verification {
  /// Holds the variables of a file of Keras against the layers that its configuration lists.
  mutating func checkLayers(of model: KerasModel, in reader: any CheckpointReader) {
    let name = "variables of the layers in config.json"
    guard KerasLayout(of: reader.tensors, reader.metadata) == .weights,
      let expected = model.variables
    else {
      omissions.append("\(name): a model of class \(model.className.escapedShortened)")
      return
    }
    let found = Set(reader.tensors.map(\.name))
    defects += expected.names.filter { !found.contains($0) }.map {
      Defect(file: reader.path, tensor: $0, "missing, expected by config.json")
    }
    unexpected = reader.tensors.filter { !expected.hasLayer(of: $0.name) }
    checks.append(name)
  }
}
