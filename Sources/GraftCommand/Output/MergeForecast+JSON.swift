import Graft

extension MergeForecast {
  /// The forecast for programs.
  var json: JSONValue {
    [
      "tensors": .array(tensors.map(row)),
      "copiedCount": JSONValue(copiedCount),
      "reads": [
        "baseByteCount": JSONValue(baseByteCount),
        "adapterByteCounts": .array(adapterByteCounts.map { JSONValue($0) }),
      ],
      "writes": [
        "tensorCount": JSONValue(tensorCount),
        "byteCount": JSONValue(byteCount),
        "files": .array(fileNames.map { .string($0) }),
      ],
      "memory": ["bufferBytes": JSONValue(bufferByteCount)],
      "losses": .array(losses.map { .string($0.what) }),
      "notes": .array(notes.map { .string($0.what) }),
    ]
  }

  private func row(_ tensor: MergePlan.Planned) -> JSONValue {
    [
      "name": .string(tensor.info.name.text),
      "dtype": .string(tensor.info.dtype.rawValue),
      "elementCount": JSONValue(tensor.info.shape.elementCount),
      "ranks": .array(tensor.ranks.map { JSONValue($0) }),
      "replaced": .bool(tensor.isReplaced),
    ]
  }
}
