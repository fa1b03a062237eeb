import Graft

extension MergeForecast {
  /// The forecast for people.
  var text: String {
    let adapters = adapterByteCounts.reduce(0, +)
    let lines = [
      "merged    \(Quantity.of(tensors.count, "tensor")): \(tensorsByName)",
      "          \(Quantity.count(copiedCount)) copied",
      "reads     \(Quantity.bytes(baseByteCount)) of the base, \(Quantity.bytes(adapters)) of "
        + Quantity.of(adapterByteCounts.count, "adapter"),
      "writes    \(Quantity.of(tensorCount, "tensor")), \(Quantity.bytes(byteCount))",
      "          into \(fileNames.map(\.escapedShortened).joined(separator: ", "))",
      "memory    at most \(Quantity.bytes(bufferByteCount)) of buffers",
    ]
    return (lines + (losses + notes).map(\.line)).joined(separator: "\n")
  }

  /// How often each kind of module is merged into, by its name.
  private var tensorsByName: String {
    let kinds = Dictionary(grouping: tensors.map(\.info.name.text)) { name in
      name.split(separator: ".").dropLast().last.map(String.init) ?? name
    }
    return kinds.sorted { $0.key < $1.key }
      .map { "\($0.value.count) × \($0.key.escapedShortened)" }.joined(separator: ", ")
  }
}
